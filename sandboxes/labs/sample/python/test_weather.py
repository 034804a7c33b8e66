"""What warmest() has to do. Run it with: python3 -m unittest -v test_weather"""

import unittest


class Warmest(unittest.TestCase):
    def test_the_warmest_of_three(self):
        from weather import warmest

        readings = [("mon", 12.5), ("tue", 19.0), ("wed", 7.25)]
        self.assertEqual(warmest(readings), ("tue", 19.0))

    def test_one_alone_is_the_warmest(self):
        from weather import warmest

        self.assertEqual(warmest([("mon", -3.0)]), ("mon", -3.0))


if __name__ == "__main__":
    unittest.main()

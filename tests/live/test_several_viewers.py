"""Several people at one shell: the same for all, one who leads, and who only looks answers nothing."""

from tests.live.stage import Page, World, settle


async def test_two_viewers_see_the_same():
    world = World()
    one, two = await Page().enter(world.live), await Page().enter(world.live)
    await world.print(b"shared")
    assert one.seen == two.seen == b"shared"
    assert one.last("viewers")["count"] == 2


async def test_the_tty_is_as_large_as_the_smallest_viewer():
    world = World()
    one = await Page(cols=120, rows=40).enter(world.live)
    two = await Page(cols=90, rows=50).enter(world.live)
    await settle(0.1)
    assert world.shell.sizes[-1] == (90, 40)
    assert one.last("size") == {"type": "size", "cols": 90, "rows": 40}
    world.live.detach(two.viewer)
    await settle(0.1)
    assert world.shell.sizes[-1] == (120, 40)


async def test_a_storm_of_sizes_reaches_neither_the_tty_nor_the_others():
    world = World()
    one, two = await Page().enter(world.live), await Page().enter(world.live)
    await settle(0.1)
    world.shell.sizes.clear()
    for number in range(500):
        world.live.resize(two.viewer, 20 + number % 50, 10)
        world.live.redraw()
    await settle(0.2)
    assert len(world.shell.sizes) < 8
    assert len([each for each in one.messages if each["type"] == "size"]) < 4
    assert world.shell.sizes[-1] == world.live.size == (69, 10)


async def test_two_who_type_at_once_do_not_quarrel_over_the_lead():
    world = World()
    one, two = await Page().enter(world.live), await Page().enter(world.live)
    for _ in range(100):
        world.live.type(one.viewer, b"x")
        world.live.type(two.viewer, b"y")
    await settle()
    assert len([each for each in one.messages if each["type"] == "viewers"]) <= 3


async def test_who_types_leads():
    world = World()
    one, two = await Page().enter(world.live), await Page().enter(world.live)
    assert two.last("attached")["leader"] is False
    world.live.type(two.viewer, b"x")
    await settle()
    assert two.last("viewers")["leader"] is True
    assert one.last("viewers")["leader"] is False


async def test_who_only_came_to_look_answers_nothing_until_they_type():
    """A program must not type with their hands, nor be said to have been typed in by them."""
    world = World()
    staff = await Page(is_owner=False).enter(world.live)
    told = staff.last("attached")
    assert (told["leader"], told["answers"]) == (False, False)
    world.live.type(staff.viewer, b"x")
    await settle()
    told = staff.last("viewers")
    assert (told["leader"], told["answers"]) == (True, True)


async def test_who_may_type_no_more_leads_no_more():
    world = World()
    owner, staff = await Page().enter(world.live), await Page(is_owner=False).enter(world.live)
    world.live.type(staff.viewer, b"x")
    world.live.let_type(staff.viewer, False)
    await settle()
    assert owner.last("viewers")["leader"] is True
    world.live.let_type(staff.viewer, True)
    world.live.let_type(owner.viewer, False)
    await settle()
    assert staff.last("viewers")["leader"] is False  # the new right was not used yet
    assert owner.last("viewers")["leader"] is False

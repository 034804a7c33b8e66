"""The teaching wing: courses, rosters, labs and seats. Core never imports it."""

"""Reading rosters: what comes from spreadsheets and campus systems, and what cannot be taken."""

from __future__ import annotations

import codecs
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandboxes.labs import roster_addresses, roster_lines, roster_text
from sandboxes.lifecycle.refusals import Refused


def read(text: str):
    return roster_lines.read(text)


def one(text: str):
    reading = read(text)
    assert not reading.faults
    (line,) = reading.lines
    return line


def reason(text: str, number: int | None = None) -> str:
    (fault,) = read(text).faults
    assert number is None or fault.number == number
    return fault.reason


@pytest.mark.parametrize(
    ("header", "cells", "name"),
    [
        ("name,e-mail,id,section,role", "Ada Lund,ada@x.org,7,A,student", "Ada Lund"),
        ("Full Name;E-Mail Address;Student ID;Group;Role", "Ada Lund;ada@x.org;7;A;learner", "Ada Lund"),
        ("Nachname;Vorname;E-Mail;Matrikelnummer;Übung;Rolle", "Lund;Ada;ada@x.org;7;A;Student", "Ada Lund"),
        ("Name;Vorname;Mail;Matr.-Nr.;Gruppe;Rolle", "Lund;Ada;ada@x.org;7;A;Studentin", "Ada Lund"),
        ("Nom\tPrénom\tCourriel\tNuméro\tGroupe\tRôle", "Lund\tAda\tada@x.org\t7\tA\tétudiante", "Ada Lund"),
        (
            "Nombre,Apellidos,Correo electrónico,Matrícula,Sección,Rol",
            "Ada,Lund,ada@x.org,7,A,alumna",
            "Ada Lund",
        ),
        (
            "Nome|Cognome|Indirizzo e-mail|Matricola|Gruppo|Ruolo",
            "Ada|Lund|ada@x.org|7|A|studentessa",
            "Ada Lund",
        ),
        ("姓名,邮箱,学号,班级,角色", "Ada Lund,ada@x.org,7,A,student", "Ada Lund"),
        ("sep=;\nname;email;id;section;role", "Ada Lund;ada@x.org;7;A;Student", "Ada Lund"),
        ('"Name";"Email";"ID";"Section";"Role"', '"Lund, Ada";"ada@x.org";"7";"A";""', "Lund, Ada"),
        ("First name,Surname,ID number,Email address,Groups", "Ada,Lund,7,ada@x.org,A", "Ada Lund"),
    ],
)
def test_headers_of_many_kinds(header, cells, name):
    line = one(f"{header}\r\n{cells}\r\n")
    assert (line.name, line.email, line.student_id, line.section) == (name, "ada@x.org", "7", "A")
    assert line.role in ("student", "", None)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_empty_lines(end):
    reading = read(end.join(["", "name;email", "", "Ada;ada@x.org", ";", "Ben;ben@x.org", ""]))
    assert [(line.number, line.name) for line in reading.lines] == [(4, "Ada"), (6, "Ben")]


def test_without_a_header_the_email_shows_where_it_is():
    assert one("Ada Lund;ada@x.org;7;A;ta").role == "assistant"
    assert one("ada@x.org").email == "ada@x.org"
    assert one("ada@x.org,Ada Lund").name == "Ada Lund"


def test_a_column_that_is_not_there_says_nothing():
    line = one("name;email\nAda;ada@x.org")
    assert (line.section, line.role, line.student_id) == (None, None, None)
    assert one("name;email;section\nAda;ada@x.org;").section == ""


@pytest.mark.parametrize(
    "data",
    [
        "name;email\nÁda Łund;ada@x.org".encode(),
        codecs.BOM_UTF8 + "name;email\nÁda Łund;ada@x.org".encode(),
        "name;email\nÁda Łund;ada@x.org".encode("utf-16"),
        codecs.BOM_UTF16_BE + "name;email\nÁda Łund;ada@x.org".encode("utf-16-be"),
        "name;email\nÁda Łund;ada@x.org".encode("utf-16-le"),
    ],
)
def test_encodings(data):
    text, note = roster_text.decode(data)
    assert roster_lines.read(text).lines[0].name == "Áda Łund" or "utf-16" in note
    assert not note


def test_western_european_is_read_and_told():
    text, note = roster_text.decode("name;email\nZoë Müller;zoe@x.org".encode("latin-1"))
    assert one(text).name == "Zoë Müller"
    assert "accents" in note


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"PK\x03\x04\xff\xfe\x00", "workbook"),
        (b"x" * (6 << 20), "larger than 5 MB"),
        (b"\xff\xfea", "damaged"),
    ],
)
def test_files_that_are_no_roster(data, sentence):
    with pytest.raises(Refused, match=sentence):
        roster_text.decode(data)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "nothing in it"),
        ("\n ; \n", "nothing in it"),
        ("colour;shape\nred;round", "names no column"),
        ("name;section\nAda;A", "no column with e-mails"),
        ("Teilnehmer\nname;section\nAda;A", "no column with e-mails"),
        ("name;email\n\n", "nothing below it"),
    ],
)
def test_text_that_is_no_roster(text, sentence):
    with pytest.raises(Refused, match=sentence):
        read(text)


ADA, BEN, CY = ("Ada Lund", "ada@x.org"), ("Ben Ok", "ben@x.org"), (None, "cy@x.org")


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("Ada Lund <ada@x.org>\nBen Ok <ben@x.org>\n", [ADA, BEN]),
        ("Ada Lund <ada@x.org>, Ben Ok <ben@x.org>", [ADA, BEN]),
        ("Ada Lund <ada@x.org>; Ben Ok <ben@x.org>;\n", [ADA, BEN]),
        ("ada@x.org, cy@x.org", [(None, "ada@x.org"), CY]),
        ('"Lund, Ada" <ada@x.org>,\r\n"Ok, Ben" <ben@x.org>', [("Lund, Ada", ADA[1]), ("Ok, Ben", BEN[1])]),
        ("Lund, Ada <ada@x.org>; Ok, Ben <ben@x.org>", [("Lund, Ada", ADA[1]), ("Ok, Ben", BEN[1])]),
        ("cy@x.org, Ada Lund <ada@x.org>", [("", "cy@x.org"), ADA]),
        ("<ada@x.org>; cy@x.org", [(None, "ada@x.org"), CY]),
    ],
)
def test_addresses_as_a_mail_program_copies_them(text, people):
    reading = read(text)
    assert [(line.name, line.email) for line in reading.lines] == people
    assert not reading.faults


def test_a_line_that_is_no_address_among_such_is_at_fault_and_the_others_are_read():
    reading = read("Ada Lund <ada@x.org>\nBen Ok\nCy <cy@x>\nDi <di@x.org>")
    assert [line.email for line in reading.lines] == ["ada@x.org", "di@x.org"]
    assert [(one.number, one.label) for one in reading.faults] == [(2, "Ben Ok"), (3, "Cy")]


@pytest.mark.parametrize(
    "title", ["Übung 3, WS 2026, Raum 7, Montag", "Teilnehmer", "a;b;c;d\n\nStand: heute"]
)
def test_a_title_above_the_header_is_passed_over_and_told(title):
    header = title.count("\n") + 2
    reading = read(f"{title}\nName;E-Mail;Gruppe\nLund;ada@x.org;A\n")
    assert [(one.name, one.email, one.section) for one in reading.lines] == [("Lund", "ada@x.org", "A")]
    assert reading.note == f"What stands above line {header} was left out."
    assert not reading.faults


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("SÃ¸ren", "“SÃ¸ren” looks like “Søren”"),
        ("JosÃ© NuÃ±ez", "looks like “José Nuñez”"),
        ("S\ufffdren", "A letter was lost"),
        ("Søren Å", ""),
        ("Ada", ""),
        ("李雷", ""),
    ],
)
def test_what_was_read_in_the_wrong_encoding_is_told_at_its_line(name, says):
    found = roster_lines.odd(one(f"name;email\n{name};s@x.org"))
    assert says in found
    assert bool(found) == bool(says)


@pytest.mark.parametrize("role", ["Teilnehmer", "Teilnehmer/in", "Hörerin", "участник"])
def test_who_takes_part_is_a_student(role):
    assert one(f"Name;E-Mail;Rolle\nAda;ada@x.org;{role}").role == "student"


def test_many_addresses_are_read_in_no_time_and_too_many_are_refused():
    with pytest.raises(Refused, match="more than 10,000 lines"):
        read(", ".join(["a@x.org"] * 10_001))
    assert roster_addresses.entries("," * (1 << 20)) == []


def test_too_many_lines_are_refused():
    with pytest.raises(Refused, match="more than 10,000 lines"):
        read("email\n" + "a@x.org\n" * 10_001)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("=cmd|' /C calc'!A0;a@x.org;1;A;student", "name begins with “=”"),
        ("Ada;a@x.org;+1+1;A;student", "id begins with “\\+”"),
        ("Ada;a@x.org;1;@SUM(A1);student", "section begins with “@”"),
        ("Ada;no mail;1;A;student", "e-mail is none"),
        ("Ada;a@x.org;1;A;wizard", "“wizard” is no role"),
        ("Ada;;;A;student", "neither an e-mail nor an id"),
        (";;5;A;student", "no name"),
        ("A\x07da;a@x.org;1;A;student", "control character"),
        ("A\u202eda;a@x.org;1;A;student", "control character"),
        ("A\0da;a@x.org;1;A;student", "control character"),
        ('"Ada\nLund";a@x.org;1;A;student', "quotation mark missing"),
        (f"{'x' * (1 << 20)};a@x.org;1;A;student", "1,048,576 characters long"),
        (f"Ada;{'x' * 300}@x.org;1;A;student", "at most 254"),
    ],
)
def test_lines_at_fault_say_why_with_their_number(row, sentence):
    reading = read(f"name;email;id;section;role\nBen;ben@x.org;9;A;student\n{row}\nEva;eva@x.org;8;A;student")
    assert [line.name for line in reading.lines] == ["Ben", "Eva"]
    (fault,) = reading.faults
    assert fault.number == 3
    assert re.search(sentence, fault.reason)
    assert len(fault.label) <= 60


def test_halves_of_a_name_are_cells_of_their_own():
    assert "“=”" in reason("Nachname;Vorname;E-Mail\n=cmd();Ada;ada@x.org", 2)
    assert one("Nachname;Vorname;E-Mail\n;Ada;ada@x.org").name == "Ada"


def test_a_quotation_mark_that_is_never_closed_takes_the_rest_with_it_and_says_so():
    assert "quotation mark" in reason('name;email\n"Ada;ada@x.org\nBen;ben@x.org\n', 2)


def test_an_email_twice_counts_once():
    reading = read("name;email\nAda;ada@x.org\nBen;ben@x.org\nAda L;ADA@x.org")
    assert [line.name for line in reading.lines] == ["Ada", "Ben"]
    assert reading.faults[0].reason == "It has the same e-mail as line 2; that line counts."


def test_what_nobody_sees_is_taken_off():
    assert one("name;email\n\u200b Ada\u00a0\u00a0 Lund\u200e;mailto:ada@x.org \ufeff").name == "Ada Lund"
    assert one("name;email;id\nAda;ada@x.org;n/a").student_id == ""


def said(data: str | bytes) -> str:
    """What comes of it: the faults' reasons, or the refusal's sentence."""
    try:
        text = data if isinstance(data, str) else roster_text.decode(data)[0]
        return " ".join(fault.reason for fault in read(text).faults) or "Good."
    except Refused as refusal:
        return str(refusal)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400) | st.binary(max_size=400))
def test_anything_is_read_or_refused_with_a_sentence(data):
    assert said(data)[-1] in ".?"

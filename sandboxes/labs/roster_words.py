"""Words of rosters in several languages: what columns and roles are called there.

All are without case, accents, blanks and signs, as ``plain`` makes them.
"""

from __future__ import annotations

import re
import unicodedata

from .models import Role


def plain(word: str) -> str:
    """A word without case, accents, blanks and signs."""
    bare = unicodedata.normalize("NFKD", word.casefold())
    return re.sub(r"[\W_]+", "", "".join(one for one in bare if not unicodedata.combining(one)))


COLUMNS = {
    "name": (
        "name fullname studentname student participant displayname vollstandigername teilnehmer nom "
        "nometprenom nomcomplet nombre nombrecompleto nombreyapellidos nome nomecompleto nomecognome naam "
        "namn navn nimi имя фио имяифамилия imieinazwisko jmeno 姓名 名前 氏名 이름 isim adsoyad"
    ),
    "first": (
        "firstname first givenname given forename vorname rufname prenom primeironome voornaam fornamn "
        "fornavn etunimi imie 名"
    ),
    "last": (
        "lastname last surname familyname family nachname familienname zuname apellido apellidos cognome "
        "sobrenome apelido achternaam efternamn efternavn sukunimi nazwisko prijmeni фамилия 姓 soyad"
    ),
    "email": (
        "email emailaddress mail mailaddress eaddress emailadresse mailadresse adresseemail adressemail "
        "courriel adresseelectronique correo correoelectronico emailinstitucional indirizzoemail "
        "postaelettronica enderecoemail epost epostadress sahkoposti почта электроннаяпочта "
        "邮箱 电子邮件 メールアドレス eposta"
    ),
    "student_id": (
        "id idnumber studentid studentnumber studentno studentidnumber number no matrikel matrikelnummer "
        "matrikelnr matrnr mtknr matriculationnumber registrationnumber numero numeroetudiant matricola "
        "matricula studentnummer sisuserid orgdefinedid userid legajo 学号 学籍番号 номер"
    ),
    "section": (
        "section sections group groups gruppe gruppen ubung ubungsgruppe tutorium klasse class classe clase "
        "groupe grupo gruppo turma turno seccion sezione seksjon groep grupp группа 班级 クラス"
    ),
    "role": ("role roles rolle ruolo rol role1 papel funcao funktion fonction roli роль 角色 役割"),
}
ROLES = {
    Role.INSTRUCTOR: (
        "instructor teacher lecturer professor prof faculty lehrer lehrerin dozent dozentin lehrende "
        "enseignant professeur profesor profesora docente docent editingteacher преподаватель"
    ),
    Role.ASSISTANT: (
        "assistant teachingassistant ta tutor tutorin hiwi assistent assistentin assistente asistente "
        "ayudante monitor noneditingteacher ассистент"
    ),
    Role.STUDENT: (
        "student studentin studierende studierender learner participant etudiant etudiante estudiante "
        "teilnehmer teilnehmerin teilnehmende teilnehmender horer horerin participante partecipante deltaker "
        "deltager deltagare deelnemer uczestnik участник 学生 生徒 "
        "alumno alumna studente studentessa aluno aluna schuler schulerin студент"
    ),
}

COLUMN_OF = {plain(word): column for column, words in COLUMNS.items() for word in words.split()}
ROLE_OF = {plain(word): role for role, words in ROLES.items() for word in words.split()}

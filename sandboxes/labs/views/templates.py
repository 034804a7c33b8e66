"""Lab templates for who manages a course: the list, writing with a preview, publishing, trying."""

from __future__ import annotations

from typing import Any

from django.db.models import Count
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from sandboxes.forms import bounds
from sandboxes.labs import forms_templates, gate, lab_templates, pictures, sheets, trail
from sandboxes.labs.models import Course, LabTemplate, Role, TemplateVersion
from sandboxes.lifecycle.refusals import Refused
from sandboxes.views.filters import clean
from sandboxes.views.web import Request, back, origin, private, say

PAGES = ["GET", "HEAD", "POST"]
MANY = 200


@require_GET
@private
def template_list(request: Request, pk: str) -> HttpResponse:
    """The course's templates."""
    course = gate.get_course(request.user, pk, gate.MANAGE)
    rows = course.templates.filter(removed_at=None).select_related("published__image")
    counted = list(rows.annotate(labs=Count("versions__labs")).order_by("title", "id"))
    context = {
        "course": course,
        "templates": [(one, draft(one)) for one in counted],
        "courses": managed(request),
    }
    return render(request, "labs/template_list.html", context)


def draft(template: LabTemplate) -> TemplateVersion | None:
    """The newest version without its files."""
    return template.versions.defer("files", "sheet").select_related("image").order_by("-number").first()


def managed(request: Request) -> list[Course]:
    """Where this person may put a clone."""
    courses = Course.objects.filter(archived_at=None)
    if not request.user.is_staff:
        courses = courses.filter(
            enrollments__user=request.user, enrollments__removed_at=None, enrollments__role=Role.INSTRUCTOR
        )
    return list(courses.order_by("title")[:MANY])


# -- writing ------------------------------------------------------------------------------------


@require_http_methods(PAGES)
@private
def template_new(request: Request, pk: str) -> HttpResponse:
    """Write a new template."""
    course = gate.get_course(request.user, pk, gate.MANAGE)
    form = form_of(request, None, 0)
    if wants_save(request) and form.is_valid():
        made = lab_templates.create(course, form.cleaned_data["title"], origin(request), **form.columns())
        return say(request, back(request, "template_edit", made.pk), "success", "Saved as a draft.")
    return page(request, form, course, None)


@require_http_methods(PAGES)
@private
def template_edit(request: Request, pk: str) -> HttpResponse:
    """Its newest version, or ``?version=``, to go on from; every save is a new version."""
    template = gate.get_template(request.user, pk)
    newest = template.newest
    base = newest.number if newest else 0
    form = form_of(request, chosen(request, template) or newest, base)
    if wants_save(request) and form.is_valid():
        try:
            saved = save(request, template, form)
            return say(
                request, back(request, "template_edit", pk), "success", f"Saved as version {saved.number}."
            )
        except Refused as refusal:
            form.add_error(None, str(refusal))
    return page(request, form, template.course, template)


def form_of(request: Request, version: TemplateVersion | None, base: int) -> forms_templates.RecipeForm:
    return forms_templates.RecipeForm(
        request.POST or None, request.FILES or None, initial=forms_templates.initial(version, base)
    )


def wants_save(request: Request) -> bool:
    """Without a script a button shows the preview and saves nothing."""
    return request.method == "POST" and request.POST.get("do") != "preview"


def chosen(request: Request, template: LabTemplate) -> TemplateVersion | None:
    """The version that the address asks for. Raises Http404."""
    number = request.GET.get("version", "")
    if not number:
        return None
    is_number = number.isascii() and number.isdecimal() and len(number) < 7
    found = template.versions.filter(number=int(number)).first() if is_number else None
    if found is None:
        raise Http404("No such version.")
    return found


def save(request: Request, template: LabTemplate, form: forms_templates.RecipeForm) -> TemplateVersion:
    base = form.cleaned_data["base"] or 0
    return lab_templates.save(template, form.cleaned_data["title"], base, origin(request), **form.columns())


def page(request: Request, form: Any, course: Course, template: LabTemplate | None) -> HttpResponse:
    """The form with its preview; 422 when something was wrong, which is on record field by field."""
    is_bad = wants_save(request) and bool(form.errors)
    if is_bad:
        note_errors(request, form, course)
    context = {
        "form": form, "course": course, "template": template, "bounds": bounds(), "is_bad": is_bad,
        "versions": list(history(template)) if template else [],
        "draft": draft(template) if template else None,
        "courses": managed(request) if template else [],
        **preview(str(form["sheet"].value() or ""), template),
    }  # fmt: skip
    return render(request, "labs/template.html", context, status=422 if is_bad else 200)


def note_errors(request: Request, form: Any, course: Course) -> None:
    for field, errors in form.errors.items():
        trail.record(
            "template.save",
            origin(request),
            course,
            outcome=trail.Outcome.REFUSED,
            reason=str(errors[0]),
            field=field,
        )


def history(template: LabTemplate) -> Any:
    """Its versions, newest first, with how many labs took each."""
    return template.versions.defer("files", "sheet").annotate(taken=Count("labs")).order_by("-number")[:MANY]


@require_POST
@private
def template_preview(request: Request, pk: str) -> HttpResponse:
    """The sheet as a student would see it."""
    course = gate.get_course(request.user, pk, gate.MANAGE)
    template = course.templates.filter(
        pk=clean(request.POST.get("template", ""))[:24], removed_at=None
    ).first()
    return render(request, "labs/template_preview.html", preview(request.POST.get("sheet", ""), template))


def preview(text: str, template: LabTemplate | None) -> dict[str, Any]:
    """The rendered sheet, or why there is none."""
    newest = template.newest if template else None
    find = pictures.finder(lambda: newest.files if newest else None)
    try:
        return {
            "sheet": sheets.render(forms_templates.clean_sheet(text), find),
            "preview": True,
            "current": 1,
        }
    except ValueError as error:
        return {"problem": str(error), "preview": True}


# -- acts ---------------------------------------------------------------------------------------


@require_POST
@private
def template_act(request: Request, pk: str, action: str) -> HttpResponse:
    """Publish, unpublish, clone, remove, try. With ``?confirm`` a page asks before removing."""
    act = ACTS.get(action)
    if act is None:
        raise Http404("No such action.")
    template = gate.get_template(request.user, pk)
    if "confirm" in request.GET and action == "remove":
        return render(request, "labs/template_remove.html", {"template": template, "course": template.course})
    try:
        return act(request, template)
    except Refused as refusal:
        text = str(refusal)
        facts: dict[str, Any] = {"template": template.pk}
        trail.record(f"template.{action}", origin(request), template.course, outcome=trail.Outcome.REFUSED,
                     reason=text, **facts)  # fmt: skip
        return say(request, back(request, "template_edit", pk), "warning", text)


def publish(request: Request, template: LabTemplate) -> HttpResponse:
    version = lab_templates.publish(template, origin(request))
    text = f"Version {version.number} is published: new labs take it."
    return say(request, back(request, "template_edit", template.pk), "success", text)


def unpublish(request: Request, template: LabTemplate) -> HttpResponse:
    lab_templates.unpublish(template, origin(request))
    return say(request, back(request, "template_edit", template.pk), "info", "It is a draft again.")


def clone(request: Request, template: LabTemplate) -> HttpResponse:
    """Into the course that is named, else into its own."""
    target = clean(request.POST.get("course", ""))[:24] or template.course_id
    course = gate.get_course(request.user, target, gate.MANAGE)
    made = lab_templates.clone(template, course, origin(request))
    return say(request, back(request, "template_edit", made.pk), "success", f"Cloned into {course.title}.")


def remove(request: Request, template: LabTemplate) -> HttpResponse:
    lab_templates.remove(template, origin(request))
    text = f"{template.title} is removed; labs that have it keep it."
    return say(request, back(request, "template_list", template.course_id), "success", text)


def try_it(request: Request, template: LabTemplate) -> HttpResponse:
    seat = lab_templates.try_it(template, gate.enrollment(request.user, template.course), origin(request))
    return back(request, "seat_detail", seat.pk)


ACTS = {"publish": publish, "unpublish": unpublish, "clone": clone, "remove": remove, "try": try_it}

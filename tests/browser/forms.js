/* The forms of this page with fields to write in: a sign for each; given a number and a text, that one is filled and sent. */
(order) => {
  const PLAIN = "textarea, input:not([type=checkbox], [type=radio], [type=submit], [type=file], [type=hidden])";
  const fields = (form) => [...form.elements].filter((one) => one.matches(PLAIN));
  const forms = [...document.forms].filter((form) => form.getAttribute("method") !== "dialog" && fields(form).length);
  const sign = (form) => `${(form.getAttribute("action") || location.pathname).replace(/\w+_\w{8,}|\d+/g, "*")} ${fields(form).map((one) => one.name)}`;
  if (!order) return forms.map(sign);
  const [at, text] = order;
  for (const one of fields(forms[at])) {
    one.removeAttribute("maxlength");
    if (one.localName === "input") one.type = "text";
    one.value = text;
  }
  return HTMLFormElement.prototype.submit.call(forms[at]);
}

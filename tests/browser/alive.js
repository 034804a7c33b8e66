/* What on this page bears the mark as more than text, whether the text is there, and where this is. */
async (mark) => {
  await new Promise((resolve) => setTimeout(resolve, 30));
  const found = [];
  const LEADS = ["href", "src", "action", "formaction", "data", "xlink:href"];
  const AWAY = /^\s*(javascript:|data:text|\/\/)/i;
  const isAlive = (one) => {
    const names = one.getAttributeNames();
    const has = names.some((name) => name.includes(mark) || name.startsWith("on") || name.startsWith("hx-on"));
    const leads = LEADS.some((name) => AWAY.test(one.getAttribute(name) ?? "") || one.getAttribute(name)?.includes(`${mark}()`));
    const isFrame = ["iframe", "object", "embed", "base", "plaintext"].includes(one.localName);
    const isCode = ["script", "style"].includes(one.localName) && one.type !== "application/json" && one.textContent.includes(mark);
    return one.localName.includes(mark) || has || leads || isFrame || isCode;
  };
  const look = (root) => {
    for (const one of root.querySelectorAll("*")) {
      if (isAlive(one)) found.push(one.outerHTML.slice(0, 300));
      if (one.localName === "template") look(one.content);
      if (one.shadowRoot) look(one.shadowRoot);
    }
  };
  look(document);
  return [found, document.documentElement.outerHTML.includes(mark), location.href];
}

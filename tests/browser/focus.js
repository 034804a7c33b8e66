/* The name of whoever has the focus and does not show it: no outline or ring on it or on the box it stands in. */
() => {
  let at = document.activeElement;
  if (at === document.body) return "nothing";
  const name = at.getAttribute("aria-label") || at.textContent.trim().slice(0, 30) || at.name || at.localName;
  for (let up = 0; at && up < 3; up += 1, at = at.parentElement) {
    const style = getComputedStyle(at);
    if (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1) return null;
    if (at.matches(":focus-within") && style.boxShadow.includes("inset")) return null;
  }
  return name;
}

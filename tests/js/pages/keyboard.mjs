// A person without a mouse.

/** Whether this element has the keyboard's focus. */
const isFocused = (element) => element === document.activeElement;

/** What has the focus, in words. */
function focused() {
  const element = document.activeElement;
  const label = element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent;
  return `${element.localName}${element.id ? `#${element.id}` : ""} ${JSON.stringify(label?.trim().slice(0, 40))}`;
}

/** Whether one can see where the focus is: an outline or a shadow, or a changed border. */
function hasRing(element) {
  const visible = (style) =>
    (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
  const around = [element, element.parentElement, ...(element.labels ?? [])].filter(Boolean);
  return around.some((it) => visible(getComputedStyle(it)));
}

/** Presses Tab (or Shift+Tab, `{back: true}`) until the element has the focus, which must be visible there. */
export async function tabTo(page, locator, { limit = 60, back = false } = {}) {
  const passed = [];
  for (let presses = 0; presses <= limit; presses += 1) {
    if (await locator.evaluate(isFocused)) {
      if (!(await locator.evaluate(hasRing))) throw new Error(`focus cannot be seen: ${await page.evaluate(focused)}`);
      return;
    }
    await page.keyboard.press(back ? "Shift+Tab" : "Tab");
    passed.push(await page.evaluate(focused));
  }
  throw new Error(`Tab never reaches ${locator}; it went:\n  ${passed.join("\n  ")}`);
}

/** Tabs to the element and types. */
export async function type(page, locator, text) {
  await tabTo(page, locator);
  await page.keyboard.insertText(text);
}

/** Tabs to the element and presses a key there: Enter unless another is given. */
export async function press(page, locator, key = "Enter") {
  await tabTo(page, locator);
  await page.keyboard.press(key);
}

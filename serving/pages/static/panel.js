// A panel of another page, as the server made it.

/** Return the element that a selector finds on the page at an address, or all of its content. */
export async function panelOf(address, selector) {
  const answer = await fetch(address, { headers: { accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return document.adoptNode(page.querySelector(selector) ?? page.querySelector("main"));
}

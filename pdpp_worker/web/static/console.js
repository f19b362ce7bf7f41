// Keeps the live parts of a page up to date. Without it, a page is what it was when it was loaded.
"use strict";
(() => {
  const live = [...document.querySelectorAll("[data-live]")];
  // A part with a number costs its page much: so many seconds are between two looks, and it looks without a change too.
  const slow = Math.max(0, ...live.map((one) => Number(one.dataset.live) * 1000));
  // These belong to who looks: what was opened, and what took the focus of a thing that went.
  const kept = ["open", "tabindex"];
  let busy = false, again = false;

  // What a control does; the token is that of the page.
  const actOf = (one) => {
    if (one.type === "submit") return one.textContent;
    return ["hidden", "checkbox"].includes(one.type) && one.name !== "token" ? one.value : "";
  };
  // Siblings of one name are one thing before and after. What leads elsewhere or does something else has another name,
  // and a text that of the node before it: with a row goes the line break after it, and no other row is moved.
  const nameOf = (node) => {
    if (node.nodeType !== Node.ELEMENT_NODE) return `after ${node.previousSibling ? nameOf(node.previousSibling) : ""}`;
    const named = ["id", "data-key", "aria-labelledby", "href", "action", "formaction", "name"];
    const controls = node.nodeName === "FORM" ? [...node.elements].filter((one) => one.type !== "checkbox") : [node];
    return [node.nodeName, ...named.map((one) => node.getAttribute(one)), controls.map(actOf).join("")].join("\n");
  };

  // Nodes stay where they can, and with them the focus, the selection, and what was filled in, opened or scrolled.
  const renew = (old, fresh) => {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !kept.includes(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const there = Map.groupBy(old.childNodes, nameOf);
    const next = [...fresh.childNodes].map((one) => [there.get(nameOf(one))?.shift() ?? one, one]);
    for (const gone of [...there.values()].flat()) gone.remove();
    let place = old.firstChild;
    for (const [node, one] of next) {
      if (node === place) place = place.nextSibling;
      else old.insertBefore(node, place);
      if (node !== one) renew(node, one);
    }
  };

  const put = (page) => {
    for (const part of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(part.id);
      if (!fresh) continue;
      const focused = part.contains(document.activeElement) ? document.activeElement : null;
      renew(part, fresh);
      if (!focused || document.activeElement === focused) continue;
      // It was moved; or it went, and the next Tab leads on from its part.
      if (!focused.isConnected) part.tabIndex = -1;
      (focused.isConnected ? focused : part).focus({ preventScroll: true });
    }
  };

  const refresh = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      const isSame = new URL(answer.url).pathname === location.pathname;
      if (answer.ok && isSame) put(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      // The next change asks again.
    }
    setTimeout(() => { busy = false; if (again || slow) { again = false; refresh(); } }, Math.max(400, slow));
  };

  if (slow) setTimeout(refresh, slow);
  else if (live.length) new EventSource("/live").onmessage = refresh;
})();

// Keeps the live parts of a page up to date. Without it, a page is what it was when it was loaded.
"use strict";
(() => {
  let busy = false, again = false;

  const put = (page) => {
    for (const old of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(old.id);
      // What somebody is using stays as it is.
      if (fresh && !old.contains(document.activeElement) && old.innerHTML !== fresh.innerHTML) old.replaceWith(fresh);
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
    setTimeout(() => { busy = false; if (again) { again = false; refresh(); } }, 400);
  };

  if (document.querySelector("[data-live]")) new EventSource("/live").onmessage = refresh;
})();

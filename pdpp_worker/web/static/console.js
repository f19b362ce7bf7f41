// Keeps the live parts of a page up to date. Without it, a page is what it was when it was loaded.
"use strict";
(() => {
  const live = [...document.querySelectorAll("[data-live]")];
  // A part with a number costs its page much: so many seconds are between two looks, and it looks without a change too.
  const slow = Math.max(0, ...live.map((one) => Number(one.dataset.live) * 1000));
  let busy = false, again = false;

  // What somebody is using stays as it is: a part with the focus, or with a field that was filled in.
  const isFilledIn = (one) => one.options
    ? one.selectedIndex !== Math.max(0, [...one.options].findIndex((option) => option.defaultSelected))
    : one.checked !== one.defaultChecked || one.value !== one.defaultValue;
  const isUsed = (part) => part.contains(document.activeElement)
    || [...part.querySelectorAll("input, select")].some(isFilledIn);

  const put = (page) => {
    for (const old of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(old.id);
      if (!fresh || isUsed(old)) continue;
      const opened = old.querySelectorAll("details");
      fresh.querySelectorAll("details").forEach((one, place) => { one.open = opened[place]?.open ?? false; });
      if (old.innerHTML !== fresh.innerHTML) old.replaceWith(fresh);
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

// Runs before the first paint, so that a light page does not flash dark. A file of its own: the policy allows nothing inline.
// An embedded panel takes its look from its address; the page remembers.
(function () {
  var root = document.documentElement;
  var asked = location.pathname.indexOf("/embed/") >= 0 ? new URLSearchParams(location.search) : null;
  var get = function (key) {
    if (asked) return asked.get(key);
    try { return localStorage.getItem("tapeline." + key); } catch (e) { return null; }
  };
  var theme = get("theme");
  if (theme !== "dark" && theme !== "light") {
    theme = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  }
  root.dataset.theme = theme;
  root.dataset.palette = get("palette") || "classic";
  root.dataset.density = get("density") || "compact";
})();

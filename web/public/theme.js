// Runs before the first paint, so that a light page does not flash dark. A file of its own: the policy allows nothing inline.
(function () {
  var root = document.documentElement;
  var get = function (key) {
    try { return localStorage.getItem("tapeline." + key); } catch (e) { return null; }
  };
  var theme = get("theme");
  if (theme !== "dark" && theme !== "light") {
    theme = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  }
  root.dataset.theme = theme;
  root.dataset.palette = get("palette") || "classic";
})();

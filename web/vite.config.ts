import { defineConfig } from "vite";

// The page is served by tapeline.server from its own package directory, under a policy of `default-src 'self'`: nothing inline,
// no data: addresses, no outside host. Assets carry a hash, so that the server may let browsers keep them.
const api = process.env["TAPELINE_URL"] ?? "http://127.0.0.1:8700";

export default defineConfig({
  build: {
    outDir: "../src/tapeline/server/page",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    rolldownOptions: { input: { index: "index.html", embed: "embed.html", docs: "docs.html" } },
    license: { fileName: "licenses.txt" }, // the words that go with what is bundled
    chunkSizeWarningLimit: 1800, // Swagger UI, which /docs alone loads
  },
  server: { proxy: { "/api": { target: api, ws: true } } },
});

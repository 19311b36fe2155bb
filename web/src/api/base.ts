// Where this page's server answers. A recording that is open beside the live market is served whole, page and API, under
// `/replay/SESSION/`: the page there asks the API there. Files of the page are the same for all and lie at the root.

const PREFIX = /^\/replay\/[^/]+(?=\/)/.exec(globalThis.location?.pathname ?? "")?.[0] ?? ""; // no location in unit tests

export const apiPath = (path: string): string => `${PREFIX}/api/v1/${path}`;

export const socketUrl = (): string => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${apiPath("ws")}`;

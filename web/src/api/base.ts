// Where this page's server answers. A recording that is open beside the live market is served whole, page and API, under
// `/replay/SESSION/`: the page there asks the API there. Files of the page are the same for all and lie at the root.

export const PREFIX = /^\/replay\/[^/]+(?=\/)/.exec(globalThis.location?.pathname ?? "")?.[0] ?? ""; // no location in unit tests

export const apiPath = (path: string): string => `${PREFIX}/api/v1/${path}`;

export const socketUrl = (): string => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${apiPath("ws")}`;

const PROTOCOL = "tapeline.v1";
let protocols: readonly string[] = [];

/** What a WebSocket offers: nothing, or the credential of an embedded panel. */
export const socketProtocols = (): string[] => [...protocols];

/** A frame in another site gets no cookie: its token goes with every request of this page to its own server, and with the socket. */
export function bearer(token: string): void {
  if (token === "") return;
  protocols = [PROTOCOL, `bearer.${token}`];
  const plain = globalThis.fetch.bind(globalThis);
  globalThis.fetch = (input, init) => {
    const headers = new Headers(init?.headers);
    headers.set("authorization", `Bearer ${token}`);
    return plain(input, { ...init, headers });
  };
}

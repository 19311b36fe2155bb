// The little that is needed of a framework: making elements, and values that touch the DOM only when they change.

type Child = Node | string | null;
type Attributes = Readonly<Record<string, string | number | boolean | null>>;

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K, attributes: Attributes = {}, ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null) element.append(child);
  return element;
}

/** A text in the page. `raw` is the API's own number, for tests, scripts and screen readers' tools: `data-value`. */
export class Value {
  readonly el: HTMLElement;
  private text: string | null = null;
  private raw: string | null = null;

  constructor(el: HTMLElement) {
    this.el = el;
  }

  set(text: string, raw?: number | string | null): void {
    if (text !== this.text) {
      this.text = text;
      this.el.textContent = text;
    }
    if (raw === undefined) return;
    const value = raw === null ? "" : String(raw);
    if (value !== this.raw) {
      this.raw = value;
      this.el.dataset["value"] = value;
    }
  }
}

export function value(className: string, testid?: string): Value {
  return new Value(h("span", { class: className, "data-testid": testid ?? null }));
}

/** A stroked icon of one path in a 24 × 24 box. */
export function icon(path: string): SVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
  for (const [name, to] of [["viewBox", "0 0 24 24"], ["aria-hidden", "true"], ["class", "glyph"]] as const) svg.setAttribute(name, to);
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

/** Sets a data attribute only when it changes. */
export function mark(el: HTMLElement, name: string, to: string): void {
  if (el.dataset[name] !== to) el.dataset[name] = to;
}

export function show(el: HTMLElement, visible: boolean): void {
  if (el.hidden === visible) el.hidden = !visible;
}

export function panel(id: string, title: string, ...children: Child[]): HTMLElement {
  return h("section", { class: `panel panel-${id}`, id: `panel-${id}`, "aria-label": title }, ...children);
}

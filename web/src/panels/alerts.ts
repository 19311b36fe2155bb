// Placeholder
import { h, panel } from "../ui/dom.ts";
export const alertsPanel = (): HTMLElement => panel("alerts", "Alerts", h("p", { class: "empty" }, "No rules yet."));

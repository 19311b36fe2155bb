// `/docs`: the API's OpenAPI document in Swagger UI, all of it served from here. Nothing is asked of elsewhere: no validator, no
// fonts, and the maker's counter is only a script of the installation, which does not run.

import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";
import "swagger-ui-dist/swagger-ui.css";
import "./styles/docs.css";

const root = document.documentElement;
root.classList.toggle("dark-mode", root.dataset["theme"] === "dark"); // as the page is, by theme.js

SwaggerUI({
  url: "/api/v1/openapi.json",
  dom_id: "#docs",
  validatorUrl: null,
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  tryItOutEnabled: true,
});

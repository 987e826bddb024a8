// Draws the service's OpenAPI document as a list of operations that can be tried in place.

const make = (name, attributes = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};

const resolve = (document_, schema) =>
  schema?.$ref ? schema.$ref.slice(2).split("/").reduce((at, key) => at[key], document_) : schema ?? {};

const example = (document_, given, depth = 0) => {
  const schema = resolve(document_, given);
  if (schema.examples?.length) return schema.examples[0];
  if (schema.default !== undefined) return schema.default;
  const options = schema.oneOf ?? schema.anyOf;
  if (options) return example(document_, options.find((each) => each.type !== "null") ?? options[0], depth);
  if (depth > 6) return null;
  if (schema.properties) {
    return Object.fromEntries(
      Object.entries(schema.properties).map(([key, value]) => [key, example(document_, value, depth + 1)]));
  }
  if (schema.items) return [example(document_, schema.items, depth + 1)];
  return { integer: schema.minimum ?? 1, number: 1, boolean: true, string: "text" }[schema.type] ?? null;
};

const attempt = async (method, path, form, answer) => {
  const query = new URLSearchParams();
  let target = path;
  for (const field of form.querySelectorAll("input")) {
    if (field.dataset.in === "path") target = target.replace(`{${field.name}}`, encodeURIComponent(field.value));
    else if (field.value) query.append(field.name, field.value);
  }
  const body = form.querySelector("textarea")?.value;
  const started = performance.now();
  try {
    const response = await fetch(target + (query.size ? `?${query}` : ""), {
      method: method.toUpperCase(),
      body: body || undefined,
      headers: body ? { "Content-Type": "application/json" } : {},
    });
    const text = await response.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it came */ }
    const took = (performance.now() - started).toFixed(0);
    answer.textContent = `${response.status} ${response.statusText} in ${took} ms\n` +
      `X-Request-ID: ${response.headers.get("x-request-id")}\n\n${shown}`;
  } catch (error) {
    answer.textContent = `No answer: ${error.message}`;
  }
  answer.hidden = false;
};

const operation = (document_, path, method, details) => {
  const form = make("form");
  for (const parameter of details.parameters ?? []) {
    const input = make("input", { name: parameter.name, "data-in": parameter.in });
    if (parameter.required) input.required = true;
    form.append(make("label", {}, `${parameter.name} (${parameter.in})`, input));
  }
  const content = details.requestBody?.content?.["application/json"];
  if (content) {
    const area = make("textarea", { spellcheck: "false" });
    area.value = JSON.stringify(example(document_, content.schema), null, 2);
    form.append(make("label", {}, "body", area));
  }
  const answer = make("pre", { tabindex: "0" });
  answer.hidden = true;
  form.append(make("button", {}, "Send"), answer);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(method, path, form, answer);
  });
  const about = details.description ?? details.summary ?? "";
  const answers = Object.entries(details.responses ?? {}).map(([status, each]) => `${status} ${each.description}`);
  return make("details", {},
    make("summary", {}, make("b", {}, method.toUpperCase()), make("code", {}, path), make("span", {}, about)),
    make("p", {}, `Answers: ${answers.join("; ")}`), form);
};

const show = async () => {
  const document_ = await (await fetch("/openapi.json")).json();
  const title = `${document_.info.title} ${document_.info.version}`;
  document.title = title;
  document.getElementById("title").textContent = title;
  const sections = new Map();
  for (const [path, methods] of Object.entries(document_.paths)) {
    for (const [method, details] of Object.entries(methods)) {
      const tag = details.tags?.[0] ?? "service";
      if (!sections.has(tag)) sections.set(tag, make("section", {}, make("h2", {}, tag)));
      sections.get(tag).append(operation(document_, path, method, details));
    }
  }
  document.getElementById("operations").replaceChildren(...sections.values());
};

show().catch((error) => {
  document.getElementById("operations").textContent = `The description can't be read: ${error.message}`;
});

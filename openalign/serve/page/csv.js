// Pictures as a table for spreadsheets.

const COLUMNS = ["image", "text", "score", "width", "height", "date", "page", "row"];

export const csvOf = (hits) => [COLUMNS, ...hits.map((hit) => COLUMNS.map((column) => hit[column]))].map((line) => `${line.map(cell).join(",")}\r\n`).join("");

// Texts are those of strangers: one that begins like a formula would be run by a spreadsheet.
function cell(value) {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

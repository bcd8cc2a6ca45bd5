/**
 * TiKV's unified log format: [time] [LEVEL] [component] ["message"] [key=value]…
 * Takes the JSON lines that pino gives. Not a hot path: lines are rate-limited before they come here.
 */

/** Values that need no quotes. */
const PLAIN = /^[A-Za-z0-9_.:/+@*?-]+$/;

function quoted(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "null");
  return PLAIN.test(text) ? text : JSON.stringify(text);
}

/** Returns "2026/01/31 23:59:59.123 +00:00"; UTC, so that lines of several machines sort. */
export function formatTime(ms: number): string {
  const iso = new Date(ms).toISOString();
  return `${iso.slice(0, 10).replaceAll("-", "/")} ${iso.slice(11, 23)} +00:00`;
}

/** Returns the text line, with its line feed, of one JSON line. */
export function textLine(jsonLine: string): string {
  const { time, level, component, message, error, ...fields } = JSON.parse(jsonLine) as Record<
    string,
    unknown
  >;
  const parts = [`[${level}]`, `[${component ?? "rutile"}]`, `[${quoted(message)}]`];
  if (time !== undefined) parts.unshift(`[${time}]`);
  for (const [key, value] of Object.entries(fields)) parts.push(`[${key}=${quoted(value)}]`);
  if (error !== undefined) parts.push(`[error=${quoted(error)}]`);
  return `${parts.join(" ")}\n`;
}

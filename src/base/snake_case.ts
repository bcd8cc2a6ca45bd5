/** Names as metrics and wire texts have them. */

/** Returns camelCase as snake_case: "notLeader" → "not_leader". */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

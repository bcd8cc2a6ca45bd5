/**
 * Traps for real time and real randomness: while a run is under way, whoever touches them below the
 * simulator fails the run. The loop keeps its own `setImmediate`.
 */

/** Puts the traps up; returns what takes them down. */
export function setTraps(): () => void {
  const undo: (() => void)[] = [];
  const trap = (owner: object, name: string): void => {
    const before = Object.getOwnPropertyDescriptor(owner, name) as PropertyDescriptor;
    const value = (): never => {
      throw new Error(`${name} is used inside the simulator`);
    };
    Object.defineProperty(owner, name, { configurable: true, writable: true, value });
    undo.push(() => Object.defineProperty(owner, name, before));
  };
  for (const name of ["setTimeout", "setInterval", "setImmediate"]) trap(globalThis, name);
  trap(Date, "now");
  trap(Math, "random");
  return () => {
    for (const take of undo) take();
  };
}

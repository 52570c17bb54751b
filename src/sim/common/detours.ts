interface Ignored<E> {
  readonly left: number;
  readonly error: E | undefined;
}

/** Which events of a connection do not take their usual way, because a script wants it so; `E`: an error on the wire. */
export class Detours<E> {
  readonly #omitted = new Set<string>();
  readonly #delayed = new Map<string, number>();
  readonly #ignored = new Map<string, Ignored<E>>();

  omit(types: readonly string[]): void {
    for (const type of types) this.#omitted.add(type);
  }

  delay(types: readonly string[], ms: number): void {
    for (const type of types) this.#delayed.set(type, ms);
  }

  ignore(type: string, count: number, error: E | undefined): void {
    this.#ignored.set(type, { left: count, error });
  }

  /** How late an event is that may be called by any of these names, in ms; infinite: it never comes. */
  waitMs(names: readonly string[]): number {
    if (names.some((name) => this.#omitted.has(name))) return Number.POSITIVE_INFINITY;
    return Math.max(0, ...names.map((name) => this.#delayed.get(name) ?? 0));
  }

  /** A client's event of this type is not to be handled: what happens instead. Undefined: it is handled. */
  takeIgnored(type: string): { readonly error: E | undefined } | undefined {
    const ignored = this.#ignored.get(type);
    if (ignored === undefined) return undefined;
    if (ignored.left <= 1) this.#ignored.delete(type);
    else this.#ignored.set(type, { ...ignored, left: ignored.left - 1 });
    return ignored;
  }
}

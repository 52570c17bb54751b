const MAX_DEPTH = 100;

/**
 * JSON of anything, which never throws and costs no more than its limit. What JSON has no words for: a BigInt is its
 * digits in quotes, a Map an object (or pairs, if its keys are no strings), a Set an array, an Error its message,
 * bytes their number, a circle `"[circular]"`, and what throws when it is looked at `"[unreadable]"`.
 */
export class JsonText {
  /** Something was left out for want of room. */
  isCut = false;
  readonly #limit: number;
  readonly #parts: string[] = [];
  readonly #inside = new Set<object>();
  #length = 0;

  /** @param limit characters; the text may have a few more */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get text(): string {
    return this.#parts.join('');
  }

  get length(): number {
    return this.#length;
  }

  /** Once only. */
  write(value: unknown): void {
    this.#value('', value);
  }

  #value(key: string, value: unknown): void {
    const parts = this.#parts.length;
    const length = this.#length;
    try {
      this.#plain(unwrapped(key, value));
    } catch {
      this.#parts.length = parts;
      this.#length = length;
      this.#put('"[unreadable]"');
    }
  }

  #plain(value: unknown): void {
    switch (typeof value) {
      case 'string':
        this.#string(value);
        break;
      case 'bigint':
        this.#string(value.toString());
        break;
      case 'object':
        this.#object(value);
        break;
      default:
        // Numbers and booleans; what JSON leaves out is null where something has to stand.
        this.#put(JSON.stringify(value) ?? 'null');
    }
  }

  #string(text: string): void {
    const room = Math.max(0, this.#limit - this.#length);
    if (text.length > room) this.isCut = true;
    this.#put(JSON.stringify(text.slice(0, room)));
  }

  #object(value: object | null): void {
    if (value === null) this.#put('null');
    else if (this.#inside.has(value)) this.#put('"[circular]"');
    else if (this.#inside.size >= MAX_DEPTH) this.#put('"[too deep]"');
    else {
      this.#inside.add(value);
      try {
        this.#content(value);
      } finally {
        this.#inside.delete(value);
      }
    }
  }

  #content(value: object): void {
    if (Array.isArray(value)) this.#list(value);
    else if (value instanceof Set) this.#list(value);
    else if (value instanceof Map) this.#map(value);
    else if (value instanceof Error) this.#string(value.message);
    else if (ArrayBuffer.isView(value)) this.#put(`"[${value.byteLength} bytes]"`);
    else if (value instanceof Promise) this.#put('"[a promise that nobody awaited]"');
    else if (value instanceof RegExp) this.#string(String(value));
    else this.#fields(ownFields(value));
  }

  #map(map: ReadonlyMap<unknown, unknown>): void {
    for (const key of map.keys()) {
      if (typeof key !== 'string') {
        this.#list(map);
        return;
      }
    }
    // All of them are strings, as was just seen.
    this.#fields(map as ReadonlyMap<string, unknown>);
  }

  #list(items: Iterable<unknown>): void {
    this.#put('[');
    let first = true;
    for (const item of items) {
      if (this.#full()) break;
      if (!first) this.#put(',');
      first = false;
      this.#value('', item);
    }
    this.#put(']');
  }

  #fields(fields: Iterable<readonly [string, unknown]>): void {
    this.#put('{');
    let first = true;
    for (const [key, value] of fields) {
      if (isLeftOut(value)) continue;
      if (this.#full()) break;
      if (!first) this.#put(',');
      first = false;
      this.#string(key);
      this.#put(':');
      this.#value(key, value);
    }
    this.#put('}');
  }

  #full(): boolean {
    if (this.#length >= this.#limit) this.isCut = true;
    return this.#length >= this.#limit;
  }

  #put(text: string): void {
    this.#parts.push(text);
    this.#length += text.length;
  }
}

/** One after the other, so that a getter that throws spoils no more than its own field. */
function* ownFields(value: object): Generator<readonly [string, unknown]> {
  for (const key of Object.keys(value)) {
    yield [key, readField(value, key)];
  }
}

function readField(value: object, key: string): unknown {
  try {
    return Reflect.get(value, key);
  } catch {
    return '[unreadable]';
  }
}

function isLeftOut(value: unknown): boolean {
  return value === undefined || typeof value === 'function' || typeof value === 'symbol';
}

/** As JSON.stringify does it: dates, URLs and others say themselves how they want to be written. */
function unwrapped(key: string, value: unknown): unknown {
  const own = typeof value === 'object' && value !== null && 'toJSON' in value ? value.toJSON : undefined;
  if (typeof own === 'function' && !ArrayBuffer.isView(value)) return own.call(value, key);
  if (value instanceof Number || value instanceof String || value instanceof Boolean) return value.valueOf();
  return value;
}

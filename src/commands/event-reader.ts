/** One server-sent event. */
export interface ServerSentEvent {
  readonly id: string | undefined;
  readonly type: string;
  readonly data: string;
}

/** Puts server-sent events together from a stream that may be cut anywhere. Comments are left out. */
export class EventReader {
  #rest = '';
  #id: string | undefined;
  #type = '';
  #data: string[] = [];

  /** The events that this piece has completed. */
  push(piece: string): readonly ServerSentEvent[] {
    const events: ServerSentEvent[] = [];
    const lines = (this.#rest + piece).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const event = this.#line(line.endsWith('\r') ? line.slice(0, -1) : line);
      if (event !== undefined) events.push(event);
    }
    return events;
  }

  #line(line: string): ServerSentEvent | undefined {
    if (line === '') return this.#complete();
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'id') this.#id = value;
    else if (name === 'event') this.#type = value;
    else if (name === 'data') this.#data.push(value);
    return undefined;
  }

  #complete(): ServerSentEvent | undefined {
    const event = { id: this.#id, type: this.#type, data: this.#data.join('\n') };
    const empty = this.#data.length === 0;
    this.#id = undefined;
    this.#type = '';
    this.#data = [];
    return empty ? undefined : event;
  }
}

const NEWLINE = 10;

/** Cuts a stream of bytes into lines of text, whatever it holds; what a line may take up is bounded. */
export class Lines {
  readonly #maxBytes: number;
  readonly #onLine: (line: string, cut: boolean) => void;
  #parts: Buffer[] = [];
  #bytes = 0;
  #cut = false;

  /** @param onLine `cut`: the line had more than `maxBytes`, and these are its first */
  constructor(maxBytes: number, onLine: (line: string, cut: boolean) => void) {
    this.#maxBytes = maxBytes;
    this.#onLine = onLine;
  }

  write(chunk: Buffer): void {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      this.#add(chunk.subarray(from, at));
      this.end();
      from = at + 1;
    }
    this.#add(chunk.subarray(from));
  }

  /** What has come counts as a line. */
  end(): void {
    const line = Buffer.concat(this.#parts).toString('utf8').trimEnd();
    const cut = this.#cut;
    this.#parts = [];
    this.#bytes = 0;
    this.#cut = false;
    if (line !== '') this.#onLine(line, cut);
  }

  #add(part: Buffer): void {
    if (part.length === 0 || this.#cut) return;
    const room = this.#maxBytes - this.#bytes;
    this.#cut = part.length > room;
    const kept = this.#cut ? part.subarray(0, room) : part;
    this.#bytes += kept.length;
    this.#parts.push(kept);
  }
}

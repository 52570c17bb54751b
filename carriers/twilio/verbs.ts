/** A list goes out as its words with spaces between them. */
type Value = string | number | boolean | readonly string[];
/** Of one verb, in the order in which they are written. */
export type Attributes = Readonly<Record<string, Value>>;

/**
 * One verb or noun of TwiML. Twilio's own package writes the same, character for character, but takes as long to load as
 * everything else of this carrier together, and three times as long to write.
 */
export class Verb {
  readonly #name: string;
  readonly #attributes: Attributes;
  readonly #text: string;
  readonly #inside: Verb[] = [];

  constructor(name: string, attributes: Attributes = {}, text = '') {
    this.#name = name;
    this.#attributes = attributes;
    this.#text = text;
  }

  /** Adds one inside of this, after those that are there, and returns it. What XML cannot have must not be in the texts. */
  add(name: string, attributes: Attributes = {}, text = ''): Verb {
    const verb = new Verb(name, attributes, text);
    this.#inside.push(verb);
    return verb;
  }

  /** A whole document with this as its root. */
  toDocument(): string {
    return `<?xml version="1.0" encoding="UTF-8"?>${this.toString()}`;
  }

  toString(): string {
    let head = `<${this.#name}`;
    for (const [name, value] of Object.entries(this.#attributes)) {
      head += ` ${name}="${inAttribute(typeof value === 'object' ? value.join(' ') : String(value))}"`;
    }
    const inside = inText(this.#text) + this.#inside.join('');
    return inside === '' ? `${head}/>` : `${head}>${inside}</${this.#name}>`;
  }
}

const IN_TEXT: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['\r', '&#xD;'],
]);
const IN_ATTRIBUTE: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['"', '&quot;'],
  ['\t', '&#x9;'],
  ['\n', '&#xA;'],
  ['\r', '&#xD;'],
]);

function inText(text: string): string {
  return text.replace(/[&<>\r]/g, (character) => IN_TEXT.get(character) ?? '');
}

function inAttribute(text: string): string {
  return text.replace(/[&<"\t\n\r]/g, (character) => IN_ATTRIBUTE.get(character) ?? '');
}

/** Answer documents of the carriers that speak XML. */

export type XmlAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** An element; `content` is text, which is escaped, or elements. Attributes that are undefined are left out. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: XmlAttributes;
  readonly content: string | readonly XmlElement[];
}

export function element(
  name: string,
  attributes: XmlAttributes = {},
  content: string | readonly XmlElement[] = [],
): XmlElement {
  return { name, attributes, content };
}

/** The document with its declaration, without line breaks. */
export function writeXml(root: XmlElement): string {
  return `<?xml version="1.0" encoding="UTF-8"?>${write(root)}`;
}

function write({ name, attributes, content }: XmlElement): string {
  let head = `<${name}`;
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) head += ` ${key}="${escapeXml(String(value))}"`;
  }
  const inner = typeof content === 'string' ? escapeXml(content) : content.map(write).join('');
  return inner === '' ? `${head}/>` : `${head}>${inner}</${name}>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** XML has no way to write control characters and halves of surrogate pairs: they are left out. */
function escapeXml(text: string): string {
  return text
    .replace(/(?![\t\n\r])[\p{Cc}\p{Cs}\ufffe\uffff]/gu, '')
    .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
    .replace(/[\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`);
}

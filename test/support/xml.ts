import { SaxesParser } from 'saxes';

/** An element as it was read; text stands between its children. */
export interface Element {
  readonly name: string;
  readonly attributes: Record<string, string>;
  readonly children: (Element | string)[];
}

/** Reads a document with a strict parser, as a carrier does. */
export function readXml(xml: string): Element {
  const parser = new SaxesParser();
  const root: Element = { name: '', attributes: {}, children: [] };
  const open = [root];
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('opentag', (tag) => {
    const element: Element = { name: tag.name, attributes: { ...tag.attributes }, children: [] };
    open.at(-1)?.children.push(element);
    open.push(element);
  });
  parser.on('text', (text) => open.at(-1)?.children.push(text));
  parser.on('closetag', () => open.pop());
  parser.write(xml).close();
  const [only] = root.children;
  if (typeof only !== 'object') throw new Error('no root element');
  return only;
}

/** An element as it is wanted. */
export const el = (
  name: string,
  attributes: Record<string, string> = {},
  ...children: (Element | string)[]
): Element => ({
  name,
  attributes,
  children,
});

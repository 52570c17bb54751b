import { SaxesParser } from 'saxes';
import { BridgeError } from '../../errors.ts';
import type { AnswerDocument, DocumentWarning, Verb } from './verbs.ts';

/** An element of an answer document. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  /** Its own text, without that of its children. */
  readonly text: string;
}

interface OpenElement extends XmlElement {
  readonly children: OpenElement[];
  text: string;
}

/** The carrier's codes for a document that is no XML, or no `<Response>`, and for one with something odd in it. */
export interface DocumentCodes {
  readonly malformed: string;
  readonly odd: string;
}

/** Takes what the carrier would write into its debugger. */
export type Warn = (text: string) => void;

/**
 * Reads the verbs of a `<Response>`. Throws BAD_INPUT for what is not well-formed XML, with `codes.malformed`; what
 * `readVerb` throws goes through. Elements for which it gives undefined are left out; it says why itself.
 */
export function readResponse(
  text: string,
  codes: DocumentCodes,
  readVerb: (element: XmlElement, warn: Warn) => Verb | undefined,
): AnswerDocument {
  const root = parseXml(text, codes);
  if (root.name !== 'Response') {
    const message = `${codes.malformed}: the document element is <${root.name}>, it must be <Response>`;
    throw new BridgeError('BAD_INPUT', message);
  }
  const warnings: DocumentWarning[] = [];
  const warn: Warn = (warning) => warnings.push({ code: codes.odd, text: warning });
  const verbs: Verb[] = [];
  for (const element of root.children) {
    const verb = readVerb(element, warn);
    if (verb !== undefined) verbs.push(verb);
  }
  if (root.text.trim() !== '') warn('text between the verbs of a <Response>');
  return { verbs, warnings };
}

function parseXml(text: string, codes: DocumentCodes): XmlElement {
  const parser = new SaxesParser();
  const open: OpenElement[] = [];
  let root: OpenElement | undefined;
  parser.on('error', (error) => {
    const message = `${codes.malformed}: the document is not well-formed XML: ${error.message}`;
    throw new BridgeError('BAD_INPUT', message);
  });
  parser.on('opentag', (tag) => {
    const element: OpenElement = {
      name: tag.name,
      attributes: { ...tag.attributes },
      children: [],
      text: '',
    };
    open.at(-1)?.children.push(element);
    root ??= element;
    open.push(element);
  });
  parser.on('closetag', () => {
    open.pop();
  });
  const addText = (piece: string): void => {
    const current = open.at(-1);
    if (current !== undefined) current.text += piece;
  };
  parser.on('text', addText);
  parser.on('cdata', addText);
  parser.write(text).close();
  if (root === undefined) throw new BridgeError('BAD_INPUT', `${codes.malformed}: the document is empty`);
  return root;
}

/** Warns of attributes that `known` does not list. */
export function warnAttributes(element: XmlElement, known: readonly string[], warn: Warn): void {
  for (const name of Object.keys(element.attributes)) {
    if (!known.includes(name)) warn(`<${element.name}> has no attribute ${name}`);
  }
}

/** Everything but GET is POST. */
export function httpMethod(text: string | undefined): 'GET' | 'POST' {
  return text?.toUpperCase() === 'GET' ? 'GET' : 'POST';
}

/** Seconds of a pause; 1 for what is no length of time. */
export function seconds(text: string | undefined): number {
  const value = Number(text ?? '1');
  return Number.isFinite(value) && value >= 0 ? value : 1;
}

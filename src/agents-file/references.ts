import { BridgeError } from '../errors.ts';
import { isRecord } from '../is-record.ts';
import { findHost, type HttpHost } from '../tools/http/hosts.ts';
import { compileRequest } from '../tools/http/request-template.ts';
import { httpHostSchema, httpToolSchema } from '../tools/http.ts';
import type { Tool } from '../tools.ts';
import type { AgentClips } from './agent-spec.ts';
import { declaredIn, textsOf } from './agent-texts.ts';
import type { Path, Place } from './document.ts';
import { dotted, type MistakeList } from './mistakes.ts';
import { isNumberPattern, readNumberPattern } from './numbers.ts';
import { entriesAt, itemsAt, textAt, valueAt } from './plain-data.ts';
import {
  BUILT_IN_VARIABLES,
  isBuiltInVariable,
  type Placeholder,
  placeholdersIn,
  whichOf,
} from './template.ts';
import { BUILT_IN } from './tool-entries.ts';
import { foundWords, meant, suggestion } from './words.ts';

/** What the parts of an agents file say of each other, and of what is outside of it. */

/** A provider that the service knows. */
export interface KnownProvider {
  readonly name: string;
  /** What it lacks to be used, such as the name of a variable of the environment; undefined: nothing. */
  readonly lacks: string | undefined;
}

/** What an agents file refers to, as far as it could be read. */
export interface Loaded {
  /** By agent; only where they come from a file. */
  readonly instructions: ReadonlyMap<string, { readonly file: string; readonly text: string }>;
  /** By agent. */
  readonly clips: ReadonlyMap<string, AgentClips>;
  /** Undefined: they could not all be loaded, so that nobody knows what they are called. */
  readonly handlers: readonly Tool[] | undefined;
}

/** What a file is checked against. */
export interface Surroundings {
  /** Undefined: any name will do. */
  readonly providers: readonly KnownProvider[] | undefined;
  /** Names of functions that the program itself brings. */
  readonly given: readonly string[];
}

/** Adds every mistake that no single value can be blamed for. `file` may have mistakes that were found before. */
export function checkReferences(
  file: unknown,
  loaded: Loaded,
  surroundings: Surroundings,
  mistakes: MistakeList,
): void {
  const check = new Check(file, loaded, surroundings, mistakes);
  check.variables();
  check.numbers();
  check.functions();
  for (const [name, agent] of entriesAt(file, ['agents'])) check.agent(name, agent);
  check.budgets();
  check.webhooks();
}

class Check {
  readonly #file: unknown;
  readonly #loaded: Loaded;
  readonly #surroundings: Surroundings;
  readonly #mistakes: MistakeList;
  readonly #agents: readonly string[];
  /** By agent. */
  readonly #ofNumbers: ReadonlyMap<string, ReadonlySet<string>>;
  #ofAll: ReadonlySet<string> | undefined;

  constructor(file: unknown, loaded: Loaded, surroundings: Surroundings, mistakes: MistakeList) {
    this.#file = file;
    this.#loaded = loaded;
    this.#surroundings = surroundings;
    this.#mistakes = mistakes;
    this.#agents = entriesAt(file, ['agents']).map(([name]) => name);
    this.#ofNumbers = this.#variablesOfNumbers();
  }

  /** Nobody may pass for another caller by setting `caller`. */
  variables(): void {
    const sections: Path[] = [
      [],
      ...this.#agents.map((name) => ['agents', name]),
      ...itemsAt(this.#file, ['numbers']).map((_, i) => ['numbers', i]),
    ];
    for (const section of sections) {
      for (const name of declaredIn(valueAt(this.#file, section))) {
        if (!isBuiltInVariable(name)) continue;
        this.#mistakes.addKey(
          [...section, 'variables', name],
          'found the name of a variable that the bridge fills in, wanted another name',
        );
      }
    }
  }

  numbers(): void {
    if (isRecord(this.#file) && this.#file['numbers'] === undefined && this.#agents.length > 1) {
      this.#mistakes.add(
        ['numbers'],
        `found nothing, wanted the numbers of the ${this.#agents.length} agents`,
      );
    }
    const seen = new Map<string, number>();
    itemsAt(this.#file, ['numbers']).forEach((entry, i) => {
      this.#agentOf(['numbers', i, 'agent'], textAt(entry, ['agent']));
      const number = textAt(entry, ['number']);
      if (number === undefined || !isNumberPattern(number)) return;
      const { kind, text } = readNumberPattern(number);
      const key = `${kind} ${text} ${String(valueAt(entry, ['carrier']) ?? '')}`;
      const before = seen.get(key);
      seen.set(key, before ?? i);
      if (before === undefined) return;
      this.#mistakes.add(
        ['numbers', i, 'number'],
        `found the number of numbers.${before} again, wanted each number once for a carrier`,
      );
    });
  }

  /** Functions that the file itself describes. */
  functions(): void {
    const taken = new Map<string, string>(BUILT_IN.map((name) => [name, 'a built-in function']));
    for (const name of this.#surroundings.given) taken.set(name, 'a function of the program');
    for (const { definition } of this.#loaded.handlers ?? []) {
      const owner = taken.get(definition.name);
      if (owner !== undefined) {
        this.#mistakes.add(
          ['tools', 'handlers'],
          `found a function ${definition.name}, wanted another name than that of ${owner}`,
        );
      }
      taken.set(definition.name, 'a function of tools.handlers');
    }
    for (const [name, spec] of entriesAt(this.#file, ['tools', 'http'])) {
      const path = ['tools', 'http', name];
      const owner = taken.get(name);
      if (owner !== undefined) {
        this.#mistakes.addKey(path, `found the name of ${owner}, wanted another one`);
      }
      this.#httpTool(path, spec);
    }
  }

  agent(name: string, agent: unknown): void {
    const path = ['agents', name];
    this.#texts(path, name, agent);
    this.#tools(path, agent);
    this.#providers(path, agent);
    const filler = valueAt(agent, ['filler']);
    if (isRecord(filler) && filler['say'] !== undefined && filler['clip'] !== undefined) {
      this.#mistakes.addKey([...path, 'filler', 'clip'], 'found say too, wanted one of the two');
    }
  }

  /** Nothing has a cost without prices, so that no budget would ever be spent. */
  budgets(): void {
    if (valueAt(this.#file, ['prices']) !== undefined) return;
    const paths: Path[] = [
      ['budget', 'perDay'],
      ...this.#agents.map((name) => ['agents', name, 'budget', 'perCall']),
      ...itemsAt(this.#file, ['numbers']).map((_, i) => ['numbers', i, 'budget', 'perDay']),
    ];
    for (const path of paths) {
      if (valueAt(this.#file, path) === undefined) continue;
      this.#mistakes.addKey(path, 'found a budget and no prices, wanted prices in the section of that name');
    }
  }

  /** A report is signed when it is sent, by whatever secret its address has then. */
  webhooks(): void {
    const secrets = new Map<string, { readonly secret: string; readonly owner: string }>();
    for (const path of [['webhooks', 'end'], ...this.#agents.map((name) => ['agents', name, 'endWebhook'])]) {
      const [url, secret] = [textAt(this.#file, [...path, 'url']), textAt(this.#file, [...path, 'secret'])];
      if (url === undefined || secret === undefined) continue;
      const known = secrets.get(url);
      if (known === undefined) secrets.set(url, { secret, owner: dotted(path) });
      else if (known.secret !== secret) {
        this.#mistakes.add(
          [...path, 'secret'],
          `found another secret than that of ${known.owner} for the same address, wanted one secret for an address`,
        );
      }
    }
  }

  #agentOf(path: Path, name: string | undefined): void {
    if (name === undefined || this.#agents.includes(name) || this.#mistakes.has(path)) return;
    const found = `found ${foundWords(name, false)}, which is no agent, `;
    this.#mistakes.add(path, found + suggestion(name, this.#agents, 'wanted one of agents'));
  }

  #httpTool(path: Path, given: unknown): void {
    const spec = httpToolSchema.safeParse(given);
    const hosts = itemsAt(this.#file, ['tools', 'hosts']).map((host) => httpHostSchema.safeParse(host));
    // A host that cannot be read has been spoken of, and may be the one that is meant.
    if (!spec.success || hosts.some((host) => !host.success)) return;
    const { request } = compileRequest(spec.data);
    const allowed = hosts.flatMap((host) => (host.success ? [host.data] : []));
    const wrong = wrongWithHost(allowed, new URL(request.origin));
    if (wrong !== undefined) this.#mistakes.add([...path, 'url'], wrong);
    const known = this.#variablesOfAll();
    for (const name of request.variables) {
      if (known.has(name)) continue;
      this.#mistakes.addKey(path, unknownVariable(name, known));
    }
  }

  #texts(path: Path, name: string, agent: unknown): void {
    const known = this.#variablesOf(name, agent);
    for (const [within, text] of textsOf(agent)) {
      for (const [place, wrong] of wrongIn(text, known)) {
        this.#mistakes.addInside([...path, ...within], place.piece, whichOf(text, place), wrong);
      }
    }
    const instructions = this.#loaded.instructions.get(name);
    if (instructions === undefined) return;
    for (const [place, wrong] of wrongIn(instructions.text, known)) {
      const at = placeIn(instructions.text, place.at);
      this.#mistakes.addElsewhere(instructions.file, at, [...path, 'instructions'], wrong);
    }
  }

  #variablesOf(name: string, agent: unknown): ReadonlySet<string> {
    const own = [this.#file, agent].flatMap(declaredIn);
    return new Set([...BUILT_IN_VARIABLES, ...own, ...(this.#ofNumbers.get(name) ?? [])]);
  }

  /** What the numbers of each agent declare: looked up once, because there may be thousands of them. */
  #variablesOfNumbers(): ReadonlyMap<string, ReadonlySet<string>> {
    const found = new Map<string, Set<string>>();
    for (const entry of itemsAt(this.#file, ['numbers'])) {
      const agent = textAt(entry, ['agent']);
      if (agent === undefined) continue;
      const names = found.get(agent) ?? new Set();
      found.set(agent, names);
      for (const name of declaredIn(entry)) names.add(name);
    }
    return found;
  }

  #variablesOfAll(): ReadonlySet<string> {
    this.#ofAll ??= new Set(
      entriesAt(this.#file, ['agents']).flatMap(([name, agent]) => [...this.#variablesOf(name, agent)]),
    );
    return this.#ofAll;
  }

  #tools(path: Path, agent: unknown): void {
    const seen = new Map<string, number>();
    itemsAt(agent, ['tools']).forEach((entry, i) => {
      const at = [...path, 'tools', i];
      const name = typeof entry === 'string' ? entry : textAt(entry, ['name']);
      if (name === undefined) return;
      const before = seen.get(name);
      seen.set(name, i);
      if (before !== undefined) {
        this.#mistakes.add(at, `found ${JSON.stringify(name)} again, wanted each function once`);
      } else if (typeof entry === 'string') this.#toolName(at, entry);
      else this.#destinations(at, entry);
    });
  }

  #toolName(path: Path, name: string): void {
    if (name === 'transfer_call') {
      this.#mistakes.add(
        path,
        'found transfer_call without destinations, wanted { name: transfer_call, destinations: [{ name: …, to: … }] }',
      );
      return;
    }
    const slash = name.indexOf('/');
    if (slash >= 0) this.#server(path, name.slice(0, slash));
    else this.#function(path, name);
  }

  #server(path: Path, server: string): void {
    const servers = entriesAt(this.#file, ['tools', 'mcp']).map(([name]) => name);
    if (servers.includes(server)) return;
    this.#mistakes.add(
      path,
      `found the server ${foundWords(server, false)}, which tools.mcp does not have, ${suggestion(server, servers, 'wanted one of it')}`,
    );
  }

  #function(path: Path, name: string): void {
    const { handlers } = this.#loaded;
    const known = union([
      ...BUILT_IN,
      ...entriesAt(this.#file, ['tools', 'http']).map(([key]) => key),
      ...this.#surroundings.given,
      ...(handlers ?? []).map((tool) => tool.definition.name),
    ]);
    if (handlers === undefined || known.includes(name) || this.#mistakes.has(path)) return;
    this.#mistakes.add(
      path,
      `found ${foundWords(name, false)}, which is no function, ${suggestion(name, known, 'wanted one that there is')}`,
    );
  }

  #destinations(path: Path, entry: unknown): void {
    const seen = new Set<string>();
    itemsAt(entry, ['destinations']).forEach((one, i) => {
      const name = textAt(one, ['name']);
      if (name === undefined) return;
      const key = name.toLowerCase();
      if (seen.has(key)) {
        this.#mistakes.add(
          [...path, 'destinations', i, 'name'],
          `found ${foundWords(name, false)} again, wanted another name for each destination`,
        );
      }
      seen.add(key);
    });
  }

  #providers(path: Path, agent: unknown): void {
    const { providers } = this.#surroundings;
    if (providers === undefined) return;
    const known = providers.map(({ name }) => name);
    itemsAt(agent, ['providers']).forEach((entry, i) => {
      const short = typeof entry === 'string';
      const name = short ? entry : textAt(entry, ['name']);
      if (name === undefined || known.includes(name)) return;
      this.#mistakes.add(
        [...path, 'providers', i, ...(short ? [] : ['name'])],
        `found ${foundWords(name, false)}, which is no provider, ${suggestion(name, known, 'wanted one')}`,
      );
    });
  }
}

function wrongWithHost(allowed: readonly HttpHost[], url: URL): string | undefined {
  if (typeof findHost(allowed, url) !== 'string') return undefined;
  const whenPrivate = allowed.map((host) => ({ ...host, private: true }));
  return typeof findHost(whenPrivate, url) === 'string'
    ? 'found a host that tools.hosts does not let be reached, wanted one of them'
    : 'found plain http, wanted https, or { host: …, private: true } in tools.hosts for a host of your own';
}

function union(names: readonly string[]): readonly string[] {
  return [...new Set(names)];
}

const UNDECLARED = 'wanted a variable of a call, or one that is declared under variables';

/** More mistakes of one text than these are not read by anybody, and each takes a look through the text. */
const MOST_IN_A_TEXT = 200;

function wrongIn(text: string, known: ReadonlySet<string>): readonly (readonly [Placeholder, string])[] {
  const found: (readonly [Placeholder, string])[] = [];
  for (const place of placeholdersIn(text)) {
    const wrong = found.length < MOST_IN_A_TEXT ? wrongWith(place, known) : undefined;
    if (wrong !== undefined) found.push([place, wrong]);
  }
  return found;
}

function wrongWith({ name }: Placeholder, known: ReadonlySet<string>): string | undefined {
  if (name === undefined)
    return 'found {{ without a name and }}, wanted {{name}}, or \\{{ for the characters';
  if (known.has(name)) return undefined;
  return unknownVariable(name, known);
}

function unknownVariable(name: string, known: ReadonlySet<string>): string {
  const near = meant(name, [...known]);
  return `found {{${name}}}, ${near === undefined ? UNDECLARED : `did you mean {{${near}}}?`}`;
}

function placeIn(text: string, index: number): Place {
  const before = text.slice(0, index).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

/** What a failure of somebody else's says, line by line, without its code. */
export function linesOf(thrown: unknown): readonly string[] {
  return BridgeError.from(thrown)
    .plainMessage.split('\n')
    .filter((line) => line.trim() !== '');
}

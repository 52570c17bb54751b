import { dirname, join, resolve } from 'node:path';
import type { Clip } from '../agents.ts';
import { type LoadOptions, loadHandlers } from '../tools/handlers.ts';
import type { Tool } from '../tools.ts';
import { LONGEST_INSTRUCTIONS } from './agent-schema.ts';
import type { AgentClips } from './agent-spec.ts';
import { LARGEST_CLIP, readClip } from './clip.ts';
import type { Path } from './document.ts';
import { ANY_LANGUAGE } from './fields.ts';
import type { MistakeList } from './mistakes.ts';
import { entriesAt, itemsAt, textAt } from './plain-data.ts';
import { type Loaded, linesOf } from './references.ts';
import type { SourceFiles } from './source-files.ts';

interface Loading extends LoadOptions {
  /** Of the agents file, as it was given. */
  readonly path: string;
  readonly files: SourceFiles;
  readonly mistakes: MistakeList;
}

/** Reads the files that an agents file names: instructions, clips, modules of functions. Mistakes go to the list. */
export async function loadReferences(file: unknown, loading: Loading): Promise<Loaded> {
  const instructions = new Map<string, { file: string; text: string }>();
  const clips = new Map<string, AgentClips>();
  const sounds = new Sounds(loading);
  for (const [name, agent] of entriesAt(file, ['agents'])) {
    const path = ['agents', name];
    const prompt = textAt(agent, ['instructions', 'file']);
    if (prompt !== undefined) {
      const text = await readInstructions(loading, [...path, 'instructions', 'file'], prompt);
      if (text !== undefined) instructions.set(name, { file: join(dirname(loading.path), prompt), text });
    }
    clips.set(name, await sounds.of(path, agent));
  }
  return { instructions, clips, handlers: await readHandlers(file, loading) };
}

async function readInstructions(
  { path, files, mistakes }: Loading,
  at: Path,
  name: string,
): Promise<string | undefined> {
  const most = `wanted text of 1 to ${LONGEST_INSTRUCTIONS} characters`;
  // A character takes at most three bytes of UTF-8 for each of its units.
  const content = await files.read(resolve(dirname(path), name), LONGEST_INSTRUCTIONS * 3);
  if (!content.ok) {
    mistakes.add(at, `found ${content.found} at ${JSON.stringify(name)}, ${most}`);
    return undefined;
  }
  const text = decoded(content.bytes);
  if (text === undefined) mistakes.add(at, 'found a file that is no UTF-8, wanted text in UTF-8');
  else if (text.trim() === '') mistakes.add(at, `found an empty file, ${most}`);
  else if (text.length > LONGEST_INSTRUCTIONS) mistakes.add(at, `found ${text.length} characters, ${most}`);
  return text;
}

/** UTF-8 without its byte order mark; undefined for anything else. */
export function decoded(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

const WANTED_SOUND = 'wanted a WAV file of at most a minute';

/** The clips of a file; many agents may name the same one, which is read and kept once. */
class Sounds {
  readonly #loading: Loading;
  readonly #read = new Map<string, Promise<Clip | string>>();

  constructor(loading: Loading) {
    this.#loading = loading;
  }

  async of(agentPath: Path, agent: unknown): Promise<AgentClips> {
    const gap = new Map<string, Clip>();
    for (const [language, path] of gapClips(agent)) {
      const clip = await this.#clip(agentPath, agent, path);
      if (clip !== undefined) gap.set(language, clip);
    }
    return { filler: await this.#clip(agentPath, agent, ['filler', 'clip']), gap };
  }

  async #clip(agentPath: Path, agent: unknown, path: Path): Promise<Clip | undefined> {
    const name = textAt(agent, path);
    // What is no path has been spoken of.
    if (name === undefined || name.trim() === '') return undefined;
    const file = resolve(dirname(this.#loading.path), name);
    const known = this.#read.get(file) ?? this.#readOne(file, name);
    this.#read.set(file, known);
    const clip = await known;
    if (typeof clip !== 'string') return clip;
    this.#loading.mistakes.add([...agentPath, ...path], clip);
    return undefined;
  }

  /** A text is what is wrong with it. */
  async #readOne(file: string, name: string): Promise<Clip | string> {
    const content = await this.#loading.files.read(file, LARGEST_CLIP);
    if (!content.ok) return `found ${content.found} at ${JSON.stringify(name)}, ${WANTED_SOUND}`;
    try {
      return readClip(content.bytes);
    } catch (thrown) {
      return `found a file that is no such sound (${linesOf(thrown).join('; ')}), ${WANTED_SOUND}`;
    }
  }
}

/** Languages, as in `GapFillerPolicy`, and where their clips are named. */
function gapClips(agent: unknown): readonly (readonly [language: string, path: Path])[] {
  const at = ['failover', 'filler', 'clip'];
  if (textAt(agent, at) !== undefined) return [['', at]];
  return entriesAt(agent, at).map(([language]) => [
    language === ANY_LANGUAGE ? '' : language,
    [...at, language],
  ]);
}

async function readHandlers(
  file: unknown,
  { path, files, mistakes, clock, signal }: Loading,
): Promise<readonly Tool[] | undefined> {
  const at = ['tools', 'handlers'];
  const paths = itemsAt(file, at).filter((one) => typeof one === 'string');
  if (paths.length === 0) return [];
  const baseDir = resolve(dirname(path));
  for (const one of paths) await files.noteFolder(resolve(baseDir, one));
  try {
    const { tools, sources } = await loadHandlers(paths, baseDir, { clock, signal });
    for (const source of sources) await files.note(source);
    return tools;
  } catch (thrown) {
    signal?.throwIfAborted();
    for (const line of linesOf(thrown)) mistakes.add(at, line);
    return undefined;
  }
}

import { resolve } from 'node:path';
import { type AgentSpec, agentSpec } from './agents-file/agent-spec.ts';
import { readYaml } from './agents-file/document.ts';
import { type EnvironmentMistake, fillEnvironment } from './agents-file/environment.ts';
import { checkWith } from './agents-file/issues.ts';
import { decoded, loadReferences } from './agents-file/load.ts';
import { MistakeList, type Source } from './agents-file/mistakes.ts';
import { entriesAt, valueAt } from './agents-file/plain-data.ts';
import { checkReferences, type KnownProvider, type Loaded } from './agents-file/references.ts';
import { agentsFileSchema, type RawAgentsFile, type RawNumber } from './agents-file/schema.ts';
import { SourceFiles } from './agents-file/source-files.ts';
import type { Clock } from './clock.ts';
import type { Env } from './config.ts';
import type { EndHookConfig } from './hooks/end-hook.ts';
import { isRecord } from './is-record.ts';
import { breathe } from './settle.ts';
import type { Tool } from './tools.ts';

/** A number and who has its calls, as the agents file has it. */
export type NumberEntry = RawNumber;

/** An agents file that was read, checked and found good. Immutable. */
export interface AgentsFile {
  /** As it was given. */
  readonly path: string;
  /** Every file and folder that was looked at, as it was then. */
  readonly sources: readonly Source[];
  /** IANA name. */
  readonly timeZone: string;
  readonly variables: Readonly<Record<string, string>>;
  /** By name, in the order of the file. */
  readonly agents: ReadonlyMap<string, AgentSpec>;
  /** In the order of the file. One agent without numbers has all calls. */
  readonly numbers: readonly NumberEntry[];
  readonly tools: Omit<RawAgentsFile['tools'], 'handlers'> & {
    /** Loaded from `tools.handlers`. */
    readonly handlers: readonly Tool[];
  };
  readonly webhooks: RawAgentsFile['webhooks'];
  readonly prices: RawAgentsFile['prices'];
  readonly budget: RawAgentsFile['budget'];
}

/** Every end webhook that is set anywhere in a file, as often as it is set. */
export function endHooksOf({ webhooks, agents }: AgentsFile): readonly EndHookConfig[] {
  const own = [...agents.values()].map((agent) => agent.endWebhook);
  return [webhooks.end, ...own].filter((hook) => hook !== undefined && hook !== false);
}

/** What the file is checked against. */
export interface AgentsFileOptions {
  /** Providers that the service knows, whether they can be used or not. Default: any name will do. */
  readonly providers?: readonly KnownProvider[] | undefined;
  /** Names of functions that the program brings itself. */
  readonly toolNames?: readonly string[] | undefined;
  /** Measures how long handler modules take to load. Default: that of the system. */
  readonly clock?: Clock | undefined;
  /** Nobody wants the file any more: a module that is being loaded is not waited for. */
  readonly signal?: AbortSignal | undefined;
}

/** Larger than anybody's file, and read in a moment: calls that are up wait meanwhile. */
const LARGEST_FILE = 256 * 1024;
const WANTED = `wanted YAML or JSON of at most ${LARGEST_FILE} bytes`;

/**
 * Reads an agents file, with everything that it names, and checks it whole. Rejects with one BAD_CONFIG that has a line
 * for every mistake (`file:line:column path: found …, wanted …`); `mistakesOf` has them one by one. Rejects with the
 * reason of `signal` when that aborts.
 */
export async function readAgentsFile(
  path: string,
  env: Env,
  options: AgentsFileOptions = {},
): Promise<AgentsFile> {
  const files = new SourceFiles();
  const content = await files.read(resolve(path), LARGEST_FILE);
  const text = content.ok ? decoded(content.bytes) : undefined;
  const doc = readYaml(text ?? '');
  // Calls are up while a large file is read.
  await breathe();
  const mistakes = new MistakeList(path, doc);
  if (!content.ok) mistakes.add([], `found ${content.found}, ${WANTED}`);
  else if (text === undefined) mistakes.add([], `found a file that is no UTF-8, ${WANTED}`);
  else if (doc.value === null) mistakes.add([], 'found an empty file, wanted agents');
  if (doc.value === null || doc.value === undefined) throw mistakes.error(files.sources);
  const value = withEnvironment(doc.value, env, mistakes);
  const raw = checkWith(agentsFileSchema, value, mistakes);
  await breathe();
  const { providers, toolNames = [], clock, signal } = options;
  const loaded = await loadReferences(value, { path, files, mistakes, clock, signal });
  checkReferences(value, loaded, { providers, given: toolNames }, mistakes);
  await breathe();
  if (raw === undefined || !mistakes.empty) throw mistakes.error(files.sources);
  return assemble(path, raw, loaded, files.sources);
}

function assemble(path: string, raw: RawAgentsFile, loaded: Loaded, sources: readonly Source[]): AgentsFile {
  const agents = Object.entries(raw.agents).map(([name, agent]) => {
    const instructions = loaded.instructions.get(name)?.text;
    return [name, agentSpec(name, agent, { instructions, clips: loaded.clips.get(name) })] as const;
  });
  const { timeZone, variables, webhooks, prices, budget, tools } = raw;
  return {
    path,
    sources,
    timeZone,
    variables,
    agents: new Map(agents),
    numbers: raw.numbers ?? everyNumber(agents[0]?.[0]),
    tools: { ...tools, handlers: loaded.handlers ?? [] },
    webhooks,
    prices,
    budget,
  };
}

function everyNumber(agent: string | undefined): readonly NumberEntry[] {
  return agent === undefined ? [] : [{ number: '*', agent, variables: {} }];
}

/** The file with `${NAME}` filled in where secrets belong. */
function withEnvironment(file: unknown, env: Env, mistakes: MistakeList): unknown {
  if (!isRecord(file)) return file;
  const wrong: EnvironmentMistake[] = [];
  const filled = (path: readonly string[]): unknown =>
    fillEnvironment(valueAt(file, path), path, env, (mistake) => wrong.push(mistake));
  const changed: Record<string, unknown> = { ...file };
  for (const section of ['tools', 'webhooks']) {
    if (file[section] !== undefined) changed[section] = filled([section]);
  }
  if (isRecord(file['agents'])) {
    changed['agents'] = Object.fromEntries(
      entriesAt(file, ['agents']).map(([name, agent]) => [name, withHooks(name, agent, filled)]),
    );
  }
  for (const { path, piece, text } of wrong) mistakes.addInside(path, piece, 0, text);
  for (const { path } of wrong) mistakes.settle(path);
  return changed;
}

function withHooks(name: string, agent: unknown, filled: (path: readonly string[]) => unknown): unknown {
  if (!isRecord(agent)) return agent;
  const hooks = ['startWebhook', 'endWebhook'].filter((key) => agent[key] !== undefined);
  return {
    ...agent,
    ...Object.fromEntries(hooks.map((key) => [key, filled(['agents', name, key])])),
  };
}

import type { AgentBook } from './agent-book.ts';
import type { CallFacts } from './agents-file/call-facts.ts';
import type { ToolEntry } from './agents-file/tool-entries.ts';
import type { Clock } from './clock.ts';
import { Prices } from './cost/prices.ts';
import { assertNever } from './errors.ts';
import type { Candidate } from './fallback/candidate.ts';
import { StartHook, type StartHookConfig } from './hooks/start-hook.ts';
import type { Log } from './log.ts';
import {
  collectDigits,
  currentTime,
  endCall,
  leaveMessage,
  sendDigits,
  transferCall,
} from './tools/built-in.ts';
import type { McpLease } from './tools/mcp/pool.ts';
import type { Tool } from './tools.ts';

export interface EditionParts {
  readonly book: AgentBook;
  /** By agent: those that its calls may be held with, in order. */
  readonly providers: ReadonlyMap<string, readonly Candidate[]>;
  /** Those of the program, of handler modules and of HTTP, by name. */
  readonly tools: ReadonlyMap<string, Tool>;
  readonly mcp: McpLease;
  readonly clock: Clock;
  readonly log: Log;
}

/** One version of the agents file at work: what the calls that began with it need, until the last of them is over. */
export class Edition {
  readonly book: AgentBook;
  readonly prices: Prices;
  readonly #parts: EditionParts;
  readonly #hooks = new Map<StartHookConfig, StartHook>();
  #calls = 0;
  #retired = false;

  constructor(parts: EditionParts) {
    this.#parts = parts;
    this.book = parts.book;
    this.prices = new Prices(parts.book.file.prices);
  }

  providersOf(agent: string): readonly Candidate[] | undefined {
    return this.#parts.providers.get(agent);
  }

  /** Who is asked about a call that this agent is to have; undefined: nobody. */
  startHook(agent: string | undefined): StartHook | undefined {
    const config = this.book.startHook(agent);
    if (config === undefined) return undefined;
    let hook = this.#hooks.get(config);
    if (hook === undefined) {
      hook = new StartHook(config, { clock: this.#parts.clock });
      this.#hooks.set(config, hook);
    }
    return hook;
  }

  /** The functions of one call, as their servers list them now; of two of a name the first one counts. */
  toolsFor(agent: string, facts: CallFacts, variables: Readonly<Record<string, string>>): readonly Tool[] {
    const tools = new Map<string, Tool>();
    for (const entry of this.book.toolEntries(agent, facts, variables)) {
      for (const tool of this.#toolsOf(entry)) {
        const { name } = tool.definition;
        if (tools.has(name)) this.#parts.log.warn({ tool: name, agent }, 'two functions of one name');
        else tools.set(name, tool);
      }
    }
    return [...tools.values()];
  }

  /** A call uses it, until the returned function is called. */
  hold(): () => void {
    this.#calls += 1;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#calls -= 1;
      this.#closeIfDone();
    };
  }

  /** New calls are the next one's. */
  retire(): void {
    this.#retired = true;
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#retired && this.#calls === 0) void this.#parts.mcp.close();
  }

  #mcpTools(server: string, pattern: string): readonly Tool[] {
    const tools = this.#parts.mcp.tools(server, pattern);
    // A name may be misspelt, and only the server can know.
    if (tools.length === 0 && !pattern.includes('*'))
      this.#parts.log.warn({ mcp: server, tool: pattern }, 'a function that an agent lists is not there');
    return tools;
  }

  #toolsOf(entry: ToolEntry): readonly Tool[] {
    if (entry.type === 'mcp') return this.#mcpTools(entry.server, entry.pattern);
    if (entry.type === 'built-in') return [builtIn(entry)];
    const tool = this.#parts.tools.get(entry.name);
    return tool === undefined ? [] : [tool];
  }
}

function builtIn(entry: Extract<ToolEntry, { type: 'built-in' }>): Tool {
  switch (entry.name) {
    case 'end_call':
      return endCall;
    case 'current_time':
      return currentTime;
    case 'send_digits':
      return sendDigits;
    case 'transfer_call':
      return transferCall(entry.destinations);
    case 'collect_digits':
      return collectDigits(entry.wish);
    case 'leave_message':
      return leaveMessage(entry.text);
    default:
      return assertNever(entry);
  }
}

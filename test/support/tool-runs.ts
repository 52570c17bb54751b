import { type ToolRun, ToolRunner, type ToolRunnerOptions } from '../../src/tool-runner.ts';
import type { CallHandle, Tool } from '../../src/tools.ts';
import { callStub } from './call-stub.ts';
import { VirtualClock } from './virtual-clock.ts';

/** A runner on a call on which nothing happens by itself. */
export interface RunnerStub {
  readonly clock: VirtualClock;
  readonly call: AbortController;
  readonly tools: ToolRunner;
  /** How many functions were asked for by `asked`. */
  count: number;
}

export function startRunner(
  tools: readonly Tool[],
  own: Partial<Pick<ToolRunnerOptions, 'atOnce' | 'redact'>> & { readonly handle?: Partial<CallHandle> } = {},
): RunnerStub {
  const { handle, ...options } = own;
  const clock = new VirtualClock();
  const call = new AbortController();
  return {
    clock,
    call,
    count: 0,
    tools: new ToolRunner({
      tools,
      clock,
      call: callStub({ epoch: () => clock.epoch(), ...handle }),
      signal: call.signal,
      atOnce: 4,
      ...options,
    }),
  };
}

/** Runs a function under an id that this runner has not seen. */
export function asked(runner: RunnerStub, name: string, args: unknown = {}): Promise<ToolRun> {
  runner.count += 1;
  return runner.tools.run(`ask-${runner.count}`, name, JSON.stringify(args));
}

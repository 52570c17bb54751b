import { defineTool, type Tool, type ToolContext } from '../../src/tools.ts';
import { settled } from './manual-provider.ts';

/** A function that ends when the test says so, its oldest call first. */
export function slowTool(
  name: string,
  more: Partial<Pick<Tool, 'cancelOnInterrupt' | 'fillerAfterMs'>> = {},
) {
  const answers: ((value: unknown) => void)[] = [];
  const calls: ToolContext[] = [];
  const tool = defineTool({
    name,
    description: 'takes its time',
    timeoutMs: 120_000,
    ...more,
    run: (_args, call) => {
      calls.push(call);
      return new Promise((resolve) => answers.push(resolve));
    },
  });
  /** The oldest that has not ended. */
  const finish = async (value: unknown = 'found'): Promise<void> => {
    answers.shift()?.(value);
    await settled();
  };
  return { tool, finish, calls };
}

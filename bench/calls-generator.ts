import { assertNever } from '../src/errors.ts';
import { LoadGenerator, type LoadPlan } from './load/generator.ts';
import type { ServerIdentity } from './load/provider-server.ts';

/** The generator in a process of its own, driven by messages from the bench. */

/** What the generator is told. */
export type GeneratorOrder =
  | { readonly do: 'listen'; readonly identity: ServerIdentity | undefined }
  | { readonly do: 'up'; readonly plan: LoadPlan }
  | { readonly do: 'measure'; readonly seconds: number }
  | { readonly do: 'down' };

let generator: LoadGenerator | undefined;

async function obey(order: GeneratorOrder): Promise<unknown> {
  switch (order.do) {
    case 'listen':
      generator = new LoadGenerator(order.identity);
      return await generator.listen();
    case 'up':
      return await generator?.up(order.plan);
    case 'measure':
      return await generator?.measure(order.seconds);
    case 'down':
      return await generator?.down();
    default:
      return assertNever(order);
  }
}

process.on('message', (order: GeneratorOrder) => {
  obey(order).then(
    (answer) => process.send?.({ answer }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
// It is in a session of its own, so nobody else would end it.
process.on('disconnect', () => process.exit());
// So that a profile of it is written.
process.on('SIGTERM', () => process.exit());

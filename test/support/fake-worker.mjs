// @ts-nocheck: it runs as it is
/** What a worker process is to the one that has the port, and nothing behind it. `HOW_n` says how the one of slot n behaves. */
import { createServer } from 'node:http';
import process from 'node:process';

let how = 'well';

function answer(slot) {
  return (request, response) => {
    if (how === 'breaks' && request.url !== '/readyz') process.exit(1);
    request.resume().on('end', () => response.end(`slot ${slot}`));
  };
}

function start({ slot, env, socketPath }) {
  how = env[`HOW_${slot}`] ?? 'well';
  if (how === 'bad') {
    process.send({ type: 'failed', code: 'BAD_CONFIG', message: 'the file is wrong' }, () => process.exit(1));
    return;
  }
  const facts = { agents: ['a'], carriers: ['twilio'], providerName: 'local', outlooks: new Map() };
  createServer(answer(slot)).listen(socketPath, () => process.send({ type: 'ready', facts }));
  if (how === 'dies') setImmediate(() => process.exit(1));
}

process.on('message', (order) => {
  if (order.type === 'start') start(order);
  if (order.type === 'beat' && how !== 'hangs') process.send({ type: 'beat' });
  if (order.type === 'ask') {
    const mine = order.names.some((name) => name.endsWith(how));
    process.send({ type: 'answer', id: order.id, mine });
  }
  if (order.type === 'close') process.exit(0);
});
process.on('disconnect', () => process.exit(1));

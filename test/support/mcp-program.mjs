// @ts-nocheck: it runs as it is
/** An MCP server that is a program, made with the official SDK. The first argument says what is wrong with it. */
import { spawn } from 'node:child_process';
import process from 'node:process';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import * as z from 'zod';

const [mode = 'well', ...rest] = process.argv.slice(2);

const says = (text) => ({ content: [{ type: 'text', text }] });
const tell = (text) => process.stderr.write(`${text}\n`);

function functionsOf(server) {
  server.registerTool(
    'greet',
    { description: 'Greets somebody.', inputSchema: { name: z.string() } },
    ({ name }) => says(`Hello ${name}, says ${process.pid}`),
  );
  server.registerTool('inside', { description: 'Where it runs.' }, () => ({
    content: [],
    structuredContent: {
      cwd: process.cwd(),
      env: Object.keys(process.env).sort(),
      secret: process.env.SECRET ?? null,
    },
  }));
  server.registerTool('wait', { description: 'Never comes to an end.' }, ({ signal }) => {
    tell('waiting');
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        tell(`cancelled: ${signal.reason}`);
        reject(new Error('cancelled'));
      });
    });
  });
  server.registerTool('die', { description: 'Ends the program in mid-call.' }, () => process.exit(3));
  server.registerTool('answer_and_die', { description: 'Its last word.' }, () => {
    setImmediate(() => process.exit(0));
    return says('last word');
  });
  server.registerTool('chatter', { description: 'Prints where it should not.' }, () => {
    process.stdout.write(
      'Listening on port 1234\n{"jsonrpc":"2.0","oops\n\n[1,2]\n{"jsonrpc":"2.0"}\n\u0000\u0001\n',
    );
    return says('still here');
  });
  server.registerTool('learn', { description: 'Has one more function from now on.' }, () => {
    server.registerTool('learnt', { description: 'New.' }, () => says('new'));
    return says('done');
  });
  server.registerTool('breed', { description: 'Starts a program that does not want to end.' }, () => {
    const child = spawn(
      process.execPath,
      ['-e', "process.on('SIGTERM',()=>{});setInterval(()=>{},1000);console.log('up')"],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    return new Promise((resolve) => child.stdout.once('data', () => resolve(says(String(child.pid)))));
  });
}

if (mode === 'mute') {
  process.stdin.resume();
  tell('mute');
} else if (mode === 'crash') {
  tell(`crashing ${'x'.repeat(600)}`);
  process.exitCode = 7;
} else {
  if (mode === 'stubborn') {
    process.on('SIGTERM', () => tell('not now'));
    setInterval(() => undefined, 1000);
  }
  const server = new McpServer({ name: 'fixture', version: '1' });
  functionsOf(server);
  for (const name of rest) server.registerTool(name, { description: name }, () => says(name));
  await server.connect(new StdioServerTransport());
  tell(`up ${process.pid}`);
  if (process.env.GREETING !== undefined) tell(`with ${process.env.SECRET}, ${process.env.GREETING}`);
}

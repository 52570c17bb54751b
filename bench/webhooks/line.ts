import { connect, type Socket } from 'node:net';

const HEAD_END = '\r\n\r\n';

/** What came back; `ms`: from the first byte that was sent, or from the dialling of a new connection, to the last byte. */
export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly ms: number;
}

/** Connections to one address, as the proxies of a carrier keep them. */
export class Lines {
  readonly #address: URL;
  readonly #idle: Socket[] = [];
  readonly #open = new Set<Socket>();

  constructor(address: URL) {
    this.#address = address;
  }

  /**
   * Posts a form. Rejects when the connection ends before there is an answer.
   * @param fresh over a connection of its own; else over one that is open already, if one is idle
   */
  post(path: string, form: string, headers: string, fresh: boolean): Promise<Answer> {
    const kept = fresh ? undefined : this.#idle.pop();
    const text =
      `POST ${path} HTTP/1.1\r\nHost: ${this.#address.host}\r\n${fresh ? 'Connection: close\r\n' : ''}` +
      `User-Agent: TwilioProxy/1.1\r\nContent-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n` +
      `Content-Length: ${form.length}\r\n${headers}${HEAD_END}${form}`;
    const from = performance.now();
    const socket = kept ?? this.#dial();
    socket.write(text);
    return new Promise((resolve, reject) => {
      let read = '';
      const onClose = (): void => reject(new Error('a connection ended before there was an answer'));
      const onData = (chunk: string): void => {
        read += chunk;
        const answer = wholeAnswer(read);
        if (answer === undefined) return;
        const ms = performance.now() - from;
        socket.off('data', onData);
        socket.off('close', onClose);
        if (fresh) socket.destroy();
        else this.#idle.push(socket);
        resolve({ ...answer, ms });
      };
      socket.on('data', onData);
      socket.on('close', onClose);
    });
  }

  close(): void {
    for (const socket of this.#open) socket.destroy();
  }

  #dial(): Socket {
    const { hostname, port } = this.#address;
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    this.#open.add(socket);
    socket.setEncoding('latin1');
    // The other side closes what was idle for long.
    socket.on('close', () => {
      this.#open.delete(socket);
      const at = this.#idle.indexOf(socket);
      if (at >= 0) this.#idle.splice(at, 1);
    });
    socket.on('error', () => socket.destroy());
    return socket;
  }
}

/** Documents are short ASCII, so characters are bytes. */
function wholeAnswer(read: string): Omit<Answer, 'ms'> | undefined {
  const end = read.indexOf(HEAD_END);
  if (end < 0) return undefined;
  const head = read.slice(0, end);
  const body = read.slice(end + HEAD_END.length);
  const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  if (body.length < length) return undefined;
  return { status: Number(head.split(' ', 2)[1]), body };
}

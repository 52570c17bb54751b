import { type AddressInfo, connect } from 'node:net';
import { createServer } from 'node:tls';

// Made for this test, good for nothing else.
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgF4tmG2m+nhHxU0Xd
ZmylPgzWU/6eiXfmHqVLHPB+/vChRANCAARtaBhQLQyNF5OBRjyxUSdXkILrREXR
esfUuxsixSqMRliUBG8SAgPZqkJ03MAntOK4WrU56cFmvCSLAC+Z+RL0
-----END PRIVATE KEY-----`;
const CERT = `-----BEGIN CERTIFICATE-----
MIIBkDCCATagAwIBAgIUDUR2FeoSsRxShDG04REc2yAxW2EwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTI2MTEyMTA1NTgzMloYDzIxMjYxMDI4
MDU1ODMyWjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARtaBhQLQyNF5OBRjyxUSdXkILrREXResfUuxsixSqMRliUBG8SAgPZ
qkJ03MAntOK4WrU56cFmvCSLAC+Z+RL0o2QwYjAdBgNVHQ4EFgQUg9SxwUf+BwBc
G2qnYGYPkGU6TcIwHwYDVR0jBBgwFoAUg9SxwUf+BwBcG2qnYGYPkGU6TcIwDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0gAMEUC
IB87bTZgfAq8kz7IsZnziTDZZFE6ybf+SFJwQTvaDBr6AiEA/ZUPj0RBM6V6GElL
tCTmAHTtt8z7o9HtRZ1JuezcwIA=
-----END CERTIFICATE-----`;

/** Encryption in front of a plain server of this machine: what arrives at `port` goes to `target`. */
export async function tlsFront(target: number): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer({ key: KEY, cert: CERT }, (secure) => {
    const plain = connect(target, '127.0.0.1');
    secure.pipe(plain).pipe(secure);
    secure.on('error', () => plain.destroy());
    plain.on('error', () => secure.destroy());
    secure.on('close', () => plain.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  };
}

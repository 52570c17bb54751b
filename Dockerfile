FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY carriers ./carriers
RUN npm run build && npm prune --omit=dev

FROM node:24-slim
ENV NODE_ENV=production DATA_DIR=/data
# Reports that have not arrived and what was spent today have to outlive the container. The volume takes over the owner.
RUN mkdir -m 700 /data && chown node:node /data
VOLUME /data
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY web ./web
USER node
EXPOSE 8080
# Asks the port that the service was told to listen on.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8080}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# No shell and no npm in between, so that SIGTERM reaches the process and live calls are drained.
# The heap begins with room for the calls of a busy minute: src/engine-flags.ts.
ENTRYPOINT ["node", "--enable-source-maps", "--max-semi-space-size=32", "--min-semi-space-size=16", "--initial-old-space-size=128", "--single-threaded-gc", "dist/src/cli.js"]
CMD ["serve"]

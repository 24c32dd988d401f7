// The endpoints of a Zeal server with what its builds make of them. Written from the protocol.
import { createHash, randomBytes, randomUUID } from "node:crypto";
import * as schemas from "./zeal_schemas.mjs";

export class Fail extends Error {
	constructor(status, code, message, details) {
		super(message);
		Object.assign(this, { status, code, details });
	}
}

const canonical = [
	"ai-models", "communication", "data-processing", "data-sources", "graph-io", "inputs",
	"logic-control", "media", "scripting", "storage-memory", "tools-utilities",
];

const tick = () => new Promise((done) => setImmediate(done));
const rand = (n) => randomBytes(n).toString("hex").slice(0, n);
const iso = (ms) => new Date(ms).toISOString();
const hasNul = (v) => JSON.stringify(v ?? null).includes("\\u0000");

// The stored templates, workflows, sessions: what POST /__/state shows.
export function newStore() {
	return {
		templates: new Map(), categories: new Map(), bundles: new Map(), workflows: new Map(),
		sessions: new Map(), webhooks: new Map(), newest: null, updates: [],
	};
}

function parse(schema, value) {
	const r = schema.safeParse(value);
	if (!r.success)
		throw new Fail(400, "VALIDATION_ERROR", "Invalid request format", r.error.issues);
	return r.data;
}

export function routes(app, conf, store) {
	const ideal = conf.profile === "ideal";
	const blind = conf.profile === "path-blind";
	const base = "/api/zip";
	let clock = 0;
	const now = () => (clock = Math.max(clock + 1, Date.now()));

	const body = (req, schema) => {
		let value;
		try {
			if (req.headers["content-encoding"]) throw new Error("Unexpected token \u001f in JSON");
			value = JSON.parse(req.body.toString("utf8"));
		} catch (e) {
			throw new Fail(500, "INTERNAL_ERROR", "Internal server error",
				req.routeOptions.url.endsWith("/register") ? e.message : undefined);
		}
		return schema ? parse(schema, value) : value;
	};
	const route = (method, path, fn) => {
		const lost = [
			{ error: "Missing ID parameter" },
			{ error: { code: "VALIDATION_ERROR", message: "Missing parameter" } },
			{ error: { code: "INVALID_REQUEST", message: "Missing template parameters" } },
		];
		app.route({
			method,
			url: base + path,
			handler: async (req, reply) => {
				if (blind && path.includes(":"))
					return reply.code(400).send(lost[path.length % 3]);
				return fn(req, reply);
			},
		});
	};
	const gone = (req, reply) => reply.code(404).type("text/html; charset=utf-8")
		.send("<!DOCTYPE html><html><body>404</body></html>");

	// ---- health ----
	route("GET", "/health", (req, reply) => {
		const up = !conf.dbDown || conf.frozen;
		if (conf.frozen) reply.header("x-nextjs-cache", "HIT");
		const services = { api: "healthy", crdt: "healthy", database: up ? "healthy" : "unhealthy",
			websocket: "healthy" };
		return reply.code(up ? 200 : 503).send({ status: up ? "healthy" : "unhealthy",
			version: "1.0.0", services });
	});
	route("GET", "/websocket", () => ({ initialized: true, running: true, port: String(conf.wsPort) }));
	const needDb = () => {
		if (conf.dbDown) throw new Fail(500, "INTERNAL_ERROR", "Database unavailable");
	};

	// ---- templates ----
	const stored = (ns, t, webhookUrl) => ({ ...t, namespace: ns, globalId: `${ns}/${t.id}`,
		subtitle: t.subtitle ?? "", subcategory: t.subcategory ?? "", variant: t.variant ?? "gray-700",
		shape: t.shape ?? "rectangle", size: t.size ?? "medium", at: now(),
		tags: [ns, ...(t.runtime?.capabilities ?? [])], ...(webhookUrl ? { webhookUrl } : {}) });
	route("POST", "/templates/register", (req) => {
		const b = body(req, schemas.register);
		if (hasNul(b)) throw new Fail(500, "INTERNAL_ERROR", "invalid byte sequence");
		const out = [];
		for (const t of b.templates) {
			const globalId = `${b.namespace}/${t.id}`;
			const known = store.templates.has(globalId);
			if (known && !ideal) {
				out.push({ id: t.id, globalId, status: "error",
					error: "duplicate key value violates unique constraint" });
				continue;
			}
			store.templates.set(globalId, stored(b.namespace, t, b.webhookUrl));
			out.push({ id: t.id, globalId, status: known ? "updated" : "registered" });
		}
		return { registered: out.filter((t) => t.status !== "error").length, templates: out };
	});
	route("GET", "/templates/:ns", (req) => {
		const ns = req.params.ns;
		const all = conf.noTemplateStore ? [] : [...store.templates.values()]
			.filter((t) => t.namespace === ns).sort((a, b) => b.at - a.at).slice(0, 1000);
		const templates = all.map(({ at, namespace, runtime, display, webhookUrl, ...t }) => ideal
			? { ...t, ...(runtime && { runtime }), ...(display && { display }) }
			: { ...t, ports: [], type: t.globalId });
		return { namespace: ns, templates, count: templates.length };
	});
	route("PUT", "/templates/:ns/:id", (req) => {
		const { ns, id } = req.params;
		const globalId = `${ns}/${id}`, old = store.templates.get(globalId), b = body(req);
		if (!old) throw new Fail(404, "RESOURCE_NOT_FOUND", `Template ${globalId} not found`);
		store.templates.set(globalId, { ...old, ...b, id, globalId, namespace: ns,
			tags: [ns, ...(b.runtime?.capabilities ?? [])] });
		return { success: true, template: { id, globalId, status: "updated" } };
	});
	route("DELETE", "/templates/:ns/:id", (req) => {
		const globalId = `${req.params.ns}/${req.params.id}`;
		if (!store.templates.delete(globalId) && ideal)
			throw new Fail(404, "RESOURCE_NOT_FOUND", `Template ${globalId} not found`);
		return { success: true, message: `Template ${globalId} deleted` };
	});
	app.get(base + "/templates/:ns/:id", (req, reply) => reply.code(405).send());

	// ---- categories and bundles ----
	if (conf.profile !== "older") {
		route("GET", "/categories", () => {
			const own = [...store.categories.values()];
			const list = own.length
				? own.map((c, i) => ({ id: c.uuid, name: c.name, displayName: c.displayName,
					description: c.description ?? "", icon: c.icon ?? "", isActive: true, sortOrder: i,
					createdAt: iso(c.at), updatedAt: iso(c.at), totalNodes: "0",
					subcategories: c.subcategories.map((s) => ({ ...s, nodeCount: 0 })) }))
				: canonical.map((id) => ({ id, label: id, description: id, icon: "box",
					subcategories: [{ id: "general", label: "General", description: "" }] }));
			return { categories: list, count: list.length, source: own.length ? "database" : "canonical" };
		});
		route("POST", "/categories", (req) => {
			const out = body(req, schemas.categories).categories.map((c) => {
				const old = store.categories.get(c.name);
				const subs = (c.subcategories ?? [])
					.filter((s) => !old?.subcategories.some((o) => o.name === s.name));
				if (old) old.subcategories.push(...subs);
				else store.categories.set(c.name, { ...c, subcategories: subs, uuid: randomUUID(), at: now() });
				return { name: c.name, status: !old ? "created" : subs.length ? "updated" : "exists",
					subcategoriesAdded: subs.length };
			});
			return { registered: out.filter((c) => c.status === "created").length,
				updated: out.filter((c) => c.status === "updated").length, categories: out };
		});
		route("POST", "/components", (req) => {
			const b = body(req);
			if (typeof b.namespace !== "string" || typeof b.source !== "string"
				|| !schemas.namespaceName.test(b.namespace))
				throw new Fail(400, "VALIDATION_ERROR", "Invalid namespace or source");
			const size = Buffer.byteLength(b.source);
			if (size > 524288) throw new Fail(413, "PAYLOAD_TOO_LARGE", "Bundle exceeds 512KB limit");
			const bundleId = createHash("sha256").update(b.source).digest("hex").slice(0, 16) + ".js";
			store.bundles.set(`${b.namespace}/${bundleId}`, b.source);
			return { bundleId, namespace: b.namespace, url: `${base}/components/${b.namespace}/${bundleId}`,
				size };
		});
		route("GET", "/components/:ns/:bundle", (req, reply) => {
			const source = store.bundles.get(`${req.params.ns}/${req.params.bundle}`);
			if (source === undefined) throw new Fail(404, "NOT_FOUND", "Bundle not found");
			return reply.type("application/javascript").send(source);
		});
	} else {
		for (const p of ["/categories", "/components", "/components/*"]) app.all(base + p, gone);
	}

	// ---- workflows ----
	const workflowOf = (id) => store.workflows.get(id);
	const emptyGraph = () => ({ nodes: [], connections: [], groups: [] });
	route("POST", "/orchestrator/workflows", (req) => {
		needDb();
		const b = body(req, schemas.workflow), at = now();
		const id = `wf_${at.toString(36)}_${rand(9)}`;
		store.workflows.set(id, { id, name: b.name, description: b.description ?? "", owner: "zip-integration",
			createdAt: at, updatedAt: at, graphs: { main: emptyGraph() } });
		return { workflowId: id, graphId: "main", version: 1, embedUrl: `/embed/${id}` };
	});
	route("GET", "/orchestrator/workflows", (req) => {
		needDb();
		const user = req.headers["x-user-id"] ?? "anonymous";
		const limit = Number(req.query.limit ?? 20), offset = Number(req.query.offset ?? 0);
		if (ideal && !(limit >= 0)) throw new Fail(400, "VALIDATION_ERROR", "bad limit", []);
		const all = [...store.workflows.values()].filter((w) => w.owner === user)
			.sort((a, b) => b.updatedAt - a.updatedAt);
		const page = limit > 0 ? all.slice(offset, offset + limit) : all.slice(offset || 0);
		return { workflows: page.map((w) => ({ workflowId: w.id, name: w.name, description: w.description,
			graphId: "main", metadata: null, createdAt: iso(w.createdAt), updatedAt: iso(w.updatedAt) })),
		total: all.length, limit: Number.isNaN(limit) ? null : limit, offset };
	});
	route("GET", "/orchestrator/workflows/:wf/state", (req) => {
		const w = workflowOf(req.params.wf), graphId = req.query.graphId ?? "main";
		if (!w) throw new Fail(404, "RESOURCE_NOT_FOUND", `Workflow ${req.params.wf} not found`);
		if (!w.graphs[graphId]) throw new Fail(404, "RESOURCE_NOT_FOUND", `Graph ${graphId} not found`);
		return { workflowId: w.id, graphId, name: w.name, description: w.description, version: 1,
			state: w.graphs[graphId], metadata: { createdAt: iso(w.createdAt), updatedAt: iso(w.updatedAt),
				versionCreatedAt: iso(w.createdAt) } };
	});

	// A graph is one document: read, changed, written back. What another request wrote in between
	// is lost.
	const edit = async (b, change) => {
		const w = workflowOf(b.workflowId), id = b.graphId ?? "main";
		if (!w || !w.graphs[id]) {
			if (ideal) throw new Fail(404, "RESOURCE_NOT_FOUND", "Workflow or graph not found");
			change(emptyGraph());
			return;
		}
		const doc = ideal ? w.graphs[id] : structuredClone(w.graphs[id]);
		if (!ideal) await tick();
		change(doc);
		if (!ideal) await tick();
		w.graphs[id] = doc;
		w.updatedAt = now();
	};
	// What the editor is told about its graphs.
	const tell = (type, b, data) => workflowOf(b.workflowId) && store.updates.push({ type, workflowId: b.workflowId,
		graphId: b.graphId ?? "main", data: structuredClone(data), timestamp: now() });
	const missing = (what) => {
		if (ideal) throw new Fail(404, "RESOURCE_NOT_FOUND", `${what} not found`);
	};
	const afterStore = () => {
		if (blind) throw new Fail(500, "INTERNAL_ERROR", "Failed after storing");
	};
	route("POST", "/orchestrator/nodes", async (req) => {
		const b = body(req, schemas.node), uuid = randomUUID();
		const id = ideal ? uuid : `node-${now()}-${rand(7)}`;
		const metadata = { id, templateId: b.templateId, type: b.templateId, title: "", subtitle: "",
			description: "", icon: "", variant: "gray-700", shape: "rectangle", size: "medium",
			category: "", inputs: [], outputs: [], properties: {}, propertyValues: b.propertyValues ?? {},
			tags: [`namespace:${b.templateId.split("/")[0]}`] };
		await edit(b, (g) => g.nodes.push({ id, metadata, position: b.position }));
		tell("node-added", b, { id, metadata, position: b.position });
		afterStore();
		return { nodeId: uuid, node: { id: uuid, type: b.templateId, position: b.position,
			metadata: { ...metadata, id: uuid } } };
	});
	route("PATCH", "/orchestrator/nodes/:id", async (req) => {
		const b = body(req, schemas.nodePatch);
		let found = false;
		await edit(b, (g) => {
			const n = g.nodes.find((x) => x.id === req.params.id);
			if (!n) return;
			found = true;
			Object.assign(n.metadata.propertyValues, b.properties ?? {});
			if (b.position) n.position = b.position;
			tell("node-updated", b, n);
		});
		if (!found) missing("Node");
		return { success: true, nodeId: req.params.id,
			updated: { properties: !!b.properties, position: !!b.position } };
	});
	route("DELETE", "/orchestrator/nodes/:id", async (req) => {
		if (!req.query.workflowId) throw new Fail(400, "VALIDATION_ERROR", "workflowId is required");
		let found = false;
		await edit(req.query, (g) => {
			found = g.nodes.some((n) => n.id === req.params.id);
			g.nodes = g.nodes.filter((n) => n.id !== req.params.id);
			if (ideal) g.connections = g.connections.filter((c) =>
				c.source.nodeId !== req.params.id && c.target.nodeId !== req.params.id);
		});
		if (!found) missing("Node");
		else tell("node-removed", req.query, { nodeId: req.params.id });
		return { success: true, message: "Node deleted" };
	});
	route("POST", "/orchestrator/connections", async (req) => {
		const b = body(req, schemas.connection), uuid = randomUUID();
		const c = { id: ideal ? uuid : `conn-${now()}-${rand(7)}`, source: b.source, target: b.target,
			state: "pending" };
		await edit(b, (g) => g.connections.push(c));
		tell("connection-added", b, c);
		afterStore();
		return { connectionId: uuid, connection: c };
	});
	route("DELETE", "/orchestrator/connections", async (req) => {
		const b = body(req, schemas.connectionDelete);
		let found = false;
		await edit(b, (g) => {
			found = g.connections.some((c) => c.id === b.connectionId);
			g.connections = g.connections.filter((c) => c.id !== b.connectionId);
		});
		afterStore();
		if (!found) missing("Connection");
		return { success: true, message: "Connection deleted" };
	});
	const groupsHere = new Set();
	route("POST", "/orchestrator/groups", async (req) => {
		const b = body(req, schemas.group), uuid = randomUUID();
		const g = { id: ideal ? uuid : `group-${now()}-${rand(7)}`, title: b.title, nodeIds: b.nodeIds,
			color: b.color ?? "#6B7280", description: b.description ?? "", isCollapsed: false };
		groupsHere.add(g.id);
		await edit(b, (doc) => doc.groups.push(g));
		tell("group-created", b, g);
		afterStore();
		return { success: true, groupId: uuid, group: g };
	});
	route("PATCH", "/orchestrator/groups", async (req) => {
		const { workflowId, graphId, groupId, ...change } = body(req, schemas.groupPatch);
		if (!ideal && !groupsHere.has(groupId)) throw new Fail(500, "INTERNAL_ERROR", "Group not found");
		if (ideal) await edit({ workflowId, graphId }, (doc) => {
			const g = doc.groups.find((x) => x.id === groupId);
			if (!g) missing("Group");
			Object.assign(g, change);
		});
		return { success: true, group: { id: groupId, ...change } };
	});
	route("DELETE", "/orchestrator/groups", async (req) => {
		const b = body(req, schemas.groupDelete);
		await edit(b, (doc) => { doc.groups = doc.groups.filter((g) => g.id !== b.groupId); });
		afterStore();
		return { success: true, message: "Group deleted" };
	});

	// ---- the editor's own API ----
	app.get("/api/orchestrator/nodes", (req) => {
		const w = workflowOf(req.query.workflowId);
		return { success: true, nodes: w?.graphs[req.query.graphId ?? "main"]?.nodes ?? [] };
	});
	app.get("/api/orchestrator/crdt-updates", (req, reply) => {
		if (conf.noUpdates) return gone(req, reply);
		return { success: true, updates: store.updates.filter((u) => u.workflowId === req.query.workflowId
			&& u.timestamp > Number(req.query.since ?? 0)) };
	});
	app.put("/api/flow-traces/sessions/:id", (req, reply) => {
		const s = store.sessions.get(req.params.id), b = body(req);
		if (!s) return reply.code(404).send({ error: "Session not found" });
		s.status = b.status;
		s.endTime = now();
		return { success: true };
	});

	// ---- traces ----
	const noSummary = { totalTraces: 0, successCount: 0, errorCount: 0, warningCount: 0,
		totalDataSize: 0, averageDuration: 0 };
	route("POST", "/traces/sessions", (req) => {
		needDb();
		const b = body(req, schemas.session), at = now();
		const id = `fts_${at.toString(36)}_${rand(9)}`;
		store.sessions.set(id, { id, workflowId: b.workflowId, executionId: b.executionId, at, endTime: null,
			status: "running", summary: noSummary, metadata: b.metadata ?? {}, events: [] });
		store.newest = id;
		return { sessionId: id, startTime: iso(at) };
	});
	route("POST", "/traces/:session/events", (req) => {
		const b = body(req, schemas.events), s = store.sessions.get(req.params.session);
		if (!s && ideal) throw new Fail(404, "RESOURCE_NOT_FOUND", "Session not found");
		for (const e of b.events) {
			if ((e.duration !== undefined && !Number.isInteger(e.duration))
				|| Math.abs(e.timestamp) > 8.64e15 || hasNul(e)
				|| (conf.poison && JSON.stringify(e).includes(conf.poison)))
				throw new Fail(500, "INTERNAL_ERROR", "Failed to store event");
			const { error, ...kept } = e;
			s?.events.push({ id: randomUUID(), ...kept, duration: e.duration || null,
				portId: e.portId ?? null, metadata: e.metadata ?? {} });
		}
		return { success: true, eventsProcessed: b.events.length,
			message: `Processed ${b.events.length} events` };
	});
	route("POST", "/traces/:session/complete", (req) => {
		const b = body(req, schemas.complete), s = store.sessions.get(req.params.session);
		if (!s && ideal) throw new Fail(404, "RESOURCE_NOT_FOUND", "Session not found");
		if (s) {
			s.status = { success: "completed", error: "failed", cancelled: "cancelled" }[b.status];
			s.endTime = now();
			if (b.summary) s.summary = b.summary;
		}
		return { success: true, sessionId: req.params.session, status: b.status,
			message: "Trace session completed" };
	});
	const shown = (s) => ({ sessionId: s.id, workflowId: s.workflowId,
		workflowName: workflowOf(s.workflowId)?.name ?? "Unknown", startTime: iso(s.at),
		endTime: s.endTime && iso(s.endTime), status: s.status, summary: s.summary });
	route("GET", "/executions", (req) => {
		needDb();
		const q = req.query, limit = Number(q.limit ?? 20), offset = Number(q.offset ?? 0);
		for (const d of [q.startDate, q.endDate])
			if (d !== undefined && Number.isNaN(Date.parse(d)))
				throw new Fail(ideal ? 400 : 500, ideal ? "VALIDATION_ERROR" : "INTERNAL_ERROR", "bad date");
		const all = [...store.sessions.values()].sort((a, b) => b.at - a.at)
			.filter((s) => (!q.status || s.status === q.status)
				&& (!q.startDate || s.at >= Date.parse(q.startDate))
				&& (!q.endDate || s.at <= Date.parse(q.endDate))
				&& (!ideal || !q.workflowId || s.workflowId === q.workflowId));
		const page = all.slice(offset, offset + Math.min(limit, 1000))
			.filter((s) => !q.workflowId || s.workflowId === q.workflowId);
		return { executions: page.map(shown), total: all.length, limit, offset };
	});
	const detailOf = (id) => {
		const s = store.sessions.get(id);
		if (!s || (!ideal && id !== store.newest))
			throw new Fail(404, "RESOURCE_NOT_FOUND", "Execution not found");
		return { s, events: [...s.events].sort((a, b) => a.timestamp - b.timestamp) };
	};
	route("GET", "/executions/:session", (req) => {
		const { s, events } = detailOf(req.params.session);
		return { ...shown(s), metadata: {}, events: events.map((e) => ({ ...e, timestamp: iso(e.timestamp) })),
			totalEvents: events.length };
	});
	route("GET", "/executions/:session/replay", (req) => {
		const { s, events } = detailOf(req.params.session);
		const t0 = events[0]?.timestamp ?? s.at, timings = {};
		for (const e of events) {
			const t = (timings[e.nodeId] ??= { startTime: e.timestamp, endTime: e.timestamp, duration: 0 });
			t.endTime = e.timestamp;
			t.duration = t.endTime - t.startTime;
		}
		return { sessionId: s.id, workflowSnapshot: null, events: events.map((e) => ({ timestamp: e.timestamp,
			relativeTime: e.timestamp - t0, nodeId: e.nodeId, eventType: e.eventType, data: e.data })),
		timeline: { totalDuration: (events.at(-1)?.timestamp ?? t0) - t0, nodeTimings: timings } };
	});

	// ---- webhooks ----
	const hook = ({ at, ...h }) => ({ ...h, isActive: true });
	route("POST", "/webhooks", (req) => {
		const b = body(req, schemas.webhook), id = `wh_${now().toString(36)}_${rand(6)}`;
		const h = { id, namespace: b.namespace, url: b.url, events: b.events ?? ["*"], headers: b.headers ?? {},
			metadata: b.metadata ?? {}, isActive: true, at: now() };
		store.webhooks.set(id, h);
		return { webhookId: id, ...hook(h) };
	});
	route("GET", "/webhooks", (req) => {
		const list = [...store.webhooks.values()]
			.filter((h) => !req.query.namespace || h.namespace === req.query.namespace);
		return { webhooks: list.map(hook), count: list.length };
	});
	route("PATCH", "/webhooks/:id", (req) => {
		const b = body(req, schemas.webhookPatch), h = store.webhooks.get(req.params.id);
		if (!h) throw new Fail(ideal ? 404 : 500, ideal ? "RESOURCE_NOT_FOUND" : "INTERNAL_ERROR", "no webhook");
		Object.assign(h, b);
		return { success: true, webhook: hook(h) };
	});
	route("DELETE", "/webhooks/:id", (req) => {
		if (!store.webhooks.delete(req.params.id)) missing("Webhook");
		return { success: true };
	});
	route("POST", "/webhooks/:id", async (req) => {
		const h = store.webhooks.get(req.params.id);
		if (!h) throw new Fail(404, "RESOURCE_NOT_FOUND", "Webhook not found");
		try {
			const r = await fetch(h.url, { method: "POST", headers: { "content-type": "application/json",
				...h.headers }, body: JSON.stringify({ webhook_id: h.id, events: [{ id: `evt_${now()}_${rand(9)}`,
				type: "webhook.test", timestamp: iso(now()), data: {} }] }) });
			return { success: r.ok, statusCode: r.status };
		} catch (e) {
			return { success: false, error: String(e.cause?.code ?? e.message) };
		}
	});
}

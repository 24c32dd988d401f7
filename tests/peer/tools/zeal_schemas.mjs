// What a Zeal server accepts, as schemas of zod: the validator whose issues its 400s carry.
// Written from the protocol; nothing of zk is in here.
import { z } from "zod";

export const namespaceName = /^[a-z0-9][a-z0-9_-]*$/i;

const port = z.object({
	id: z.string(),
	label: z.string(),
	type: z.enum(["input", "output"]),
	position: z.enum(["left", "right", "top", "bottom"]),
	dataType: z.string().optional(),
	required: z.boolean().optional(),
	multiple: z.boolean().optional(),
});

const property = z.object({
	type: z.enum(["string", "number", "boolean", "select", "code-editor"]),
	label: z.string().optional(),
	description: z.string().optional(),
	defaultValue: z.any().optional(),
	options: z.array(z.any()).optional(),
	validation: z
		.object({
			required: z.boolean().optional(),
			min: z.number().optional(),
			max: z.number().optional(),
			pattern: z.string().optional(),
		})
		.optional(),
});

export const template = z.object({
	id: z.string(),
	type: z.string(),
	title: z.string(),
	subtitle: z.string().optional(),
	category: z.string(),
	subcategory: z.string().optional(),
	description: z.string(),
	icon: z.string(),
	variant: z.string().optional(),
	shape: z.enum(["rectangle", "circle", "diamond"]).optional(),
	size: z.enum(["small", "medium", "large"]).optional(),
	ports: z.array(port),
	properties: z.record(property).optional(),
	propertyRules: z
		.object({
			triggers: z.array(z.string()),
			rules: z.array(z.object({ when: z.string(), updates: z.record(z.any()) })),
		})
		.optional(),
	runtime: z
		.object({
			executor: z.string(),
			version: z.string().optional(),
			requiredEnvVars: z.array(z.string()).optional(),
			capabilities: z.array(z.string()).optional(),
		})
		.optional(),
	display: z
		.object({
			element: z.string().regex(/^[a-z][a-z0-9]*-[a-z0-9-]*$/),
			bundleId: z.string().optional(),
			source: z.string().optional(),
			shadow: z.boolean().optional(),
			observedProps: z.array(z.string()).optional(),
			width: z.string().optional(),
		})
		.optional(),
});

export const register = z.object({
	namespace: z.string(),
	templates: z.array(template),
	webhookUrl: z.string().url().optional(),
});

const slug = z.string().regex(/^[a-z][a-z0-9-]*$/);
const subcategory = z.object({
	name: slug,
	displayName: z.string(),
	description: z.string().optional(),
});
export const categories = z.object({
	categories: z
		.array(
			subcategory.extend({
				icon: z.string().optional(),
				subcategories: z.array(subcategory).optional(),
			}),
		)
		.min(1),
});

const position = z.object({ x: z.number(), y: z.number() });
const graph = { workflowId: z.string(), graphId: z.string().optional() };
const end = z.object({ nodeId: z.string(), portId: z.string() });

export const workflow = z.object({
	name: z.string(),
	description: z.string().optional(),
	metadata: z.record(z.any()).optional(),
});
export const node = z.object({
	...graph,
	templateId: z.string(),
	position,
	propertyValues: z.record(z.any()).optional(),
});
export const nodePatch = z.object({
	...graph,
	properties: z.record(z.any()).optional(),
	position: position.optional(),
});
export const connection = z.object({ ...graph, source: end, target: end });
export const connectionDelete = z.object({ ...graph, connectionId: z.string() });
export const group = z.object({
	...graph,
	title: z.string(),
	nodeIds: z.array(z.string()),
	color: z.string().optional(),
	description: z.string().optional(),
});
export const groupPatch = group.partial().extend({ workflowId: z.string(), groupId: z.string() });
export const groupDelete = z.object({ ...graph, groupId: z.string() });

export const session = z.object({
	workflowId: z.string(),
	workflowVersionId: z.string().optional(),
	executionId: z.string(),
	metadata: z
		.object({
			trigger: z.string().optional(),
			environment: z.string().optional(),
			tags: z.array(z.string()).optional(),
		})
		.optional(),
});
const event = z.object({
	timestamp: z.number(),
	nodeId: z.string(),
	portId: z.string().optional(),
	eventType: z.enum(["input", "output", "error", "log"]),
	data: z.object({
		size: z.number(),
		type: z.string(),
		preview: z.any().optional(),
		fullData: z.any().optional(),
	}),
	duration: z.number().optional(),
	metadata: z
		.object({
			cpuUsage: z.number().optional(),
			memoryUsage: z.number().optional(),
			custom: z.record(z.any()).optional(),
		})
		.optional(),
	error: z
		.object({ message: z.string(), stack: z.string().optional(), code: z.string().optional() })
		.optional(),
});
export const events = z.object({ events: z.array(event) });
export const complete = z.object({
	status: z.enum(["success", "error", "cancelled"]),
	summary: z
		.object({
			totalNodes: z.number(),
			successfulNodes: z.number(),
			failedNodes: z.number(),
			totalDuration: z.number(),
			totalDataProcessed: z.number(),
		})
		.optional(),
	error: z
		.object({ message: z.string(), nodeId: z.string().optional(), stack: z.string().optional() })
		.optional(),
});

export const webhook = z.object({
	namespace: z.string(),
	url: z.string().url(),
	events: z.array(z.string()).optional(),
	headers: z.record(z.string()).optional(),
	metadata: z.record(z.any()).optional(),
});
export const webhookPatch = webhook.partial().extend({ isActive: z.boolean().optional() });

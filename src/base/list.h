/* Intrusive doubly linked list.
 * Layer: base. The element embeds a zk_list; the head is a zk_list too. One thread at a time. */
#ifndef ZK_BASE_LIST_H
#define ZK_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct zk_list {
	struct zk_list *next, *prev;
};

/* An empty head, or an element that is in no list (zk_list_remove on it does nothing). */
static inline void zk_list_init(struct zk_list *l)
{
	l->next = l->prev = l;
}

static inline bool zk_list_is_empty(const struct zk_list *head)
{
	return head->next == head;
}

static inline void zk_list_insert(struct zk_list *prev, struct zk_list *e)
{
	e->prev = prev;
	e->next = prev->next;
	prev->next->prev = e;
	prev->next = e;
}

static inline void zk_list_push(struct zk_list *head, struct zk_list *e)
{
	zk_list_insert(head->prev, e);
}

static inline void zk_list_push_front(struct zk_list *head, struct zk_list *e)
{
	zk_list_insert(head, e);
}

static inline void zk_list_remove(struct zk_list *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	zk_list_init(e);
}

/* The first element taken off, or NULL. */
static inline struct zk_list *zk_list_pop(struct zk_list *head)
{
	struct zk_list *e = head->next;

	if (e == head)
		return NULL;
	/* Written out: so an analyser sees that the head lets go of it. */
	head->next = e->next;
	e->next->prev = head;
	zk_list_init(e);
	return e;
}

#define ZK_LIST_ENTRY(e, type, member) ZK_CONTAINER_OF(e, type, member)

/* Walks `head`; the current element may be removed in the body. */
#define ZK_LIST_EACH(it, head)                                                       \
	for (struct zk_list *it = (head)->next, *it##_next = it->next; it != (head); \
	     it = it##_next, it##_next = it->next)

#endif

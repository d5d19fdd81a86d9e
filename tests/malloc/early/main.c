/* main.c - what was allocated before the heap was ready is intact, can be grown
 * and freed, and knows its size. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

char* early_kept(void);
char* early_moved(void);
int ask(void);

static int before_main_ran;
static void before_main(void) {
    char* p = calloc(1, 1000);
    before_main_ran = p != NULL && p[999] == 0;
    free(p);
}
/* Runs before the constructors of all libraries. */
__attribute__((section(".preinit_array"), used)) static void (*first)(void) = before_main;

int main(void) {
    char *kept = early_kept(), *moved = early_moved();
    int wrong = ask() != 42 || !before_main_ran;
    for (int i = 0; i < 100; ++i) wrong |= kept[i] != i;
    for (int i = 0; i < 50; ++i) wrong |= moved[i] != i;
    wrong |= malloc_usable_size(kept) < 100 || malloc_usable_size(moved) < 3000;
    kept = realloc(kept, 1000000);
    for (int i = 0; i < 100; ++i) wrong |= kept[i] != i;
    free(kept);
    free(moved);
    printf("%s\n", wrong ? "wrong" : "fine");
    return wrong;
}

package actor_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"

	"github.com/dataworker-go/dataworker/actor"
)

// priceOf asks for the price of an item.
type priceOf struct{ item string }

// priceList answers a priceOf with an int, or with an error.
func priceList(ctx protoactor.Context) {
	if ask, ok := ctx.Message().(priceOf); ok {
		prices := map[string]int{"tea": 3, "coffee": 4}
		if price, ok := prices[ask.item]; ok {
			ctx.Respond(price)
		} else {
			ctx.Respond(fmt.Errorf("we do not sell %s", ask.item))
		}
	}
}

// A request with a context, and with a type for the answer. Nobody has to know about
// futures.
func ExampleAsk() {
	system := quietSystem()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	prices, err := actor.Spawn(system.Root, "prices", protoactor.PropsFromFunc(priceList))
	if err != nil {
		fmt.Println(err)
		return
	}

	fmt.Println(actor.Ask[int](ctx, system, prices, priceOf{"tea"}))
	fmt.Println(actor.Ask[int](ctx, system, prices, priceOf{"milk"}))
	fmt.Println(actor.Ask[string](ctx, system, prices, priceOf{"tea"}))

	if err := actor.Stop(ctx, system, prices); err != nil {
		fmt.Println(err)
	}
	_, err = actor.Ask[int](ctx, system, prices, priceOf{"tea"})
	fmt.Println(errors.Is(err, actor.ErrNoActor), err)
	// Output:
	// 3 <nil>
	// 0 we do not sell milk
	//  actor: reply of an unexpected type: prices answered with a int, not a string
	// true actor: nobody lives at this PID: prices
}

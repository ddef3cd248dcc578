package main

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/declare"
)

// applyCommand makes a server have what files declare.
type applyCommand struct {
	Files  []string `name:"file" short:"f" required:"" sep:"none" placeholder:"PATH" help:"A file, a directory (its .yaml, .yml and .json files), or - for the standard input. May be given more than once."`
	DryRun bool     `help:"Only say what would be done: exit code 3 if there is anything."`
	Prune  bool     `help:"Delete what the owners of the files have, and no file has."`
	Adopt  bool     `help:"Take over objects that have no owner."`
	Yes    bool     `help:"Revoke without asking."`
	output
}

// Help tells of the files and the plan.
func (*applyCommand) Help() string {
	return `Compares the files with the server, says what differs, asks before anything is revoked, and makes the changes. A second run
changes nothing. A file has the clients and users of one owner:

    version: 1
    owner: platform
    clients:
      billing:
        scope: [read, payments:write]
        secrets:
          - sha256: 5c7e…    # of a secret that you generated, at least 32 random characters
    users:
      ada@example.com: {role: operator}

Each server has the JSON Schema of the files at ` + declare.SchemaPath + `.

` + adminHelp
}

// errDiffers: the plan that was printed is not empty.
var errDiffers = errors.New("the server differs from the files")

// Run plans, and does what is planned.
func (c *applyCommand) Run(ctx context.Context, p process, admin *api, out printer) error {
	declared, err := c.read(p, out)
	if err != nil {
		return err
	}
	admin.keepConnections(applyWorkers)
	plan, err := c.plan(ctx, p, admin, out, declared)
	if err != nil {
		return err
	}
	if len(plan.Steps) == 0 {
		return out.nothingToDo(declared)
	}
	if c.DryRun {
		return errors.Join(out.plan(plan), errDiffers)
	}
	asks := plan.Revoking() && !c.Yes
	if err := out.showPlan(plan, asks); err != nil {
		return err
	}
	if asks {
		if err := confirm(p, "This revokes what the plan says."); err != nil {
			return err
		}
	}
	return newApplier(admin, out, plan).run(ctx)
}

// plan compares the files with the server, and finds out who has changed what differs.
func (c *applyCommand) plan(ctx context.Context, p process, admin *api, out printer, declared *declare.Declaration) (*declare.Plan, error) {
	policy := declare.Policy{Adopt: c.Adopt, Prune: c.Prune}
	if c.Prune {
		spared, err := admin.spared(ctx, p)
		if err != nil {
			return nil, err
		}
		policy.Spare = spared
	}
	live, err := admin.live(ctx, len(declared.Users) > 0 || c.Prune)
	if err != nil {
		return nil, err
	}
	plan, mistakes := declare.NewPlan(declared, live, policy)
	if len(mistakes) > 0 {
		return nil, out.mistakes(mistakes)
	}
	if mistakes, err = newApplier(admin, out, plan).check(ctx); err != nil {
		return nil, err
	}
	if len(mistakes) > 0 {
		return nil, out.mistakes(mistakes)
	}
	if err := admin.attribute(ctx, plan, live); err != nil {
		return nil, err
	}
	for _, note := range plan.Notes {
		out.note(note)
	}
	return plan, nil
}

func (p printer) nothingToDo(declared *declare.Declaration) error {
	if p.json {
		return p.applied(applied{Changes: []declare.Line{}})
	}
	return p.done("Nothing to do: %s and %s are as declared",
		counted(len(declared.Clients), "client"), counted(len(declared.Users), "user"))
}

// plan prints a plan, one line a change.
func (p printer) plan(plan *declare.Plan) error {
	if p.json {
		return p.applied(applied{Changes: plan.Lines()})
	}
	for _, line := range plan.Lines() {
		if err := p.done("%s", line); err != nil {
			return err
		}
	}
	return nil
}

// showPlan prints the plan before anything is changed. With --json the plan is a member of the object that is printed at the end;
// if the command asks for a confirmation, standard error has it before.
func (p printer) showPlan(plan *declare.Plan, asks bool) error {
	if !p.json {
		return p.plan(plan)
	}
	if asks {
		for _, line := range plan.Lines() {
			p.note(line.String())
		}
	}
	return nil
}

// applied is the output for programs.
type applied struct {
	Changes []declare.Line  `json:"changes"`
	Made    int             `json:"made"` // objects of which all changes were made
	Failed  []failedObject  `json:"failed,omitempty"`
	Secrets []createdSecret `json:"secrets,omitempty"`
	Invites []createdInvite `json:"invites,omitempty"`
}

// failedObject is an object of which not all changes were made.
type failedObject struct {
	Kind  string `json:"kind"`
	ID    string `json:"id"`
	Error string `json:"error"`
}

// createdSecret is a secret that the server has created, shown this once.
type createdSecret struct {
	ClientID string `json:"client_id"`
	Secret   string `json:"client_secret"`
}

// createdInvite is the link of a user who was created, shown this once.
type createdInvite struct {
	Email string `json:"email"`
	adminapi.Invite
}

func (p printer) applied(a applied) error {
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return p.pretty(body)
}
